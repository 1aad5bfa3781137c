"""Scored -> Incident -> Report: tracking, evidence, explanations, and what operators say of them."""
