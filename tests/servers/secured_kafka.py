"""Apache Kafka behind TLS, SCRAM and ACLs on one port; the other, plain one is its administrator's."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from kafka.admin import (
    ACL,
    ACLOperation,
    ACLPermissionType,
    KafkaAdminClient,
    ResourcePattern,
    ResourceType,
    ScramMechanism,
    UserScramCredentialUpsertion,
)

from anomalyd.daemon.broker import ApacheKafka
from anomalyd.daemon.broker.ports import reserve_port

USER, PASSWORD = "anomalyd", "a long one"

_MODULE = "org.apache.kafka.common.security.scram.ScramLoginModule"

_SECURED = """
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller},SECURED://127.0.0.1:{secured},TLS://127.0.0.1:{tls}
advertised.listeners=PLAINTEXT://127.0.0.1:{port},SECURED://127.0.0.1:{secured},TLS://127.0.0.1:{tls}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SECURED:SASL_SSL,TLS:SSL
sasl.enabled.mechanisms=SCRAM-SHA-512
listener.name.secured.scram-sha-512.sasl.jaas.config={module} required;
ssl.keystore.type=PEM
ssl.keystore.location={keystore}
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS
"""


class SecuredKafka(ApacheKafka):
    """`secured` (SASL_SSL, SCRAM-SHA-512) and `tls` (no login) are addresses; `ca` signed the certificate."""

    def __init__(self, home: Path, folder: Path) -> None:
        super().__init__(home, folder)
        self.secured_port, self.tls_port = reserve_port(), reserve_port()
        self.secured, self.tls = f"127.0.0.1:{self.secured_port}", f"127.0.0.1:{self.tls_port}"
        self.ca = folder / "ca.pem"

    def _prepare(self, port: int) -> tuple[Sequence[str], Mapping[str, str]]:
        keystore = self.folder.absolute() / "broker.pem"
        make_certificate(self.folder, keystore)
        command, environment = super()._prepare(port)
        lines = _SECURED.format(
            port=port,
            controller=self._controller_port,
            secured=self.secured_port,
            tls=self.tls_port,
            keystore=keystore,
            module=_MODULE,
        )
        # Of a property that stands twice the last counts.
        with Path(command[-1]).open("a", encoding="utf-8") as properties:
            properties.write(lines)
        return command, environment

    def let_in(self) -> None:
        """Make the user, who may do nothing yet."""
        admin = KafkaAdminClient(bootstrap_servers=self.bootstrap_servers)
        try:
            admin.alter_user_scram_credentials(
                [UserScramCredentialUpsertion(USER, ScramMechanism.SCRAM_SHA_512, PASSWORD, iterations=4096)]
            )
        finally:
            admin.close()

    def allow(self, kind: ResourceType, name: str, *operations: ACLOperation) -> None:
        """Let the user do something with a topic or a group."""
        admin = KafkaAdminClient(bootstrap_servers=self.bootstrap_servers)
        try:
            pattern = ResourcePattern(kind, name)
            admin.create_acls(
                [ACL(f"User:{USER}", "*", op, ACLPermissionType.ALLOW, pattern) for op in operations]
            )
        finally:
            admin.close()


def make_certificate(folder: Path, keystore: Path) -> None:
    """Make a CA (`ca.pem`), another that signed nothing (`other.pem`), the broker's key and certificate."""
    folder.mkdir(parents=True, exist_ok=True)

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)

    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    for ca in ("ca", "other"):
        out = ("-keyout", f"{ca}.key", "-out", f"{ca}.pem", "-days", "2", "-subj", f"/CN={ca}")
        openssl("req", "-x509", *key, *out)
    openssl("req", *key, "-keyout", "broker.key", "-out", "broker.csr", "-subj", "/CN=127.0.0.1")
    (folder / "san.cnf").write_text("subjectAltName=IP:127.0.0.1\n")
    openssl(
        *("x509", "-req", "-in", "broker.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial"),
        *("-out", "broker.crt", "-days", "2", "-extfile", "san.cnf"),
    )
    keystore.write_text((folder / "broker.key").read_text() + (folder / "broker.crt").read_text())
