"""What anomalyd can watch without anything else installed: this host, and simulated detector maps.

ticks.py      when to send: a schedule that does not drift
sender.py     to Kafka, through outages, without holding anybody up
readings.py   what this host says of itself: gauges and counters
host.py       counters -> rates: one vector of metrics
agent.py      the host agent: host -> sender, every second
chambers.py   simulated drift-tube chambers -> sender, every lumisection
"""
