"""All settings: flags, then environment (`LWS_PLACEMENT_*`), then one YAML file, then defaults.

Only this module reads the environment (besides `kubernetes.aio`, to find the API server). kubelet
also sets variables there (service links): for a Service `lws-placement-webhook` in the container's
namespace `LWS_PLACEMENT_WEBHOOK_PORT=tcp://<clusterIP>:443`. Such a value counts as absent.
"""

import re
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, ValidationInfo, field_validator, model_validator
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    YamlConfigSettingsSource,
)

from lws_placement.engine.base.quantities import amount_requested
from lws_placement.engine.base.whole_numbers import DEFAULT_MOST_SIZE, MOST_SIZE
from lws_placement.engine.model.failure_history import Policy
from lws_placement.engine.objects.topology_policy import TopologyPolicy
from lws_placement.errors import InvalidObjectError, SettingsError

ENV_PREFIX = "LWS_PLACEMENT_"
_NAME = re.compile(r"(?=.{1,253}$)[a-z0-9]([-a-z0-9.]*[a-z0-9])?")
_NAMES = {"member_scheduler": "schedulerName", "scale_up_class": "provisioningClassName"}
"""Settings that are names, and what of."""


class Role(StrEnum):
    """A duty of a process. In settings, `gate` and `brain` name the usual pair and triple."""

    WEBHOOK = "webhook"
    EXTENDER = "extender"
    PLANNER = "planner"
    CONTROLLER = "controller"
    CERTIFICATES = "certificates"


ROLE_SETS = {
    "gate": (Role.WEBHOOK, Role.EXTENDER),
    "brain": (Role.PLANNER, Role.CONTROLLER, Role.CERTIFICATES),
}


_SERVICE_LINKS = ("tcp://", "udp://", "sctp://")


class AffinityMode(StrEnum):
    """Whether members that the planner handles keep LeaderWorkerSet's exclusive affinity terms."""

    ALWAYS = "always"
    NEVER = "never"


class ScaleUpMode(StrEnum):
    """How nodes are requested from a cluster autoscaler."""

    AUTO = "auto"
    PODS = "pods"
    PROVISIONING_REQUEST = "provisioning-request"
    OFF = "off"


class Tolerations(StrEnum):
    """Whether kube-apiserver's plugin ExtendedResourceToleration is on."""

    AUTO = "auto"
    TRUE = "true"
    FALSE = "false"

    @property
    def known(self) -> bool | None:
        """None: inferred from pods."""
        return None if self is Tolerations.AUTO else self is Tolerations.TRUE


class Settings(BaseSettings):
    """One field per setting. `--help` shows the descriptions."""

    model_config = SettingsConfigDict(env_prefix=ENV_PREFIX, extra="forbid", frozen=True)

    roles: Annotated[tuple[Role, ...], NoDecode] = Field(
        default=tuple(Role),
        description="Comma-separated: webhook, extender, planner, controller, certificates; "
        "gate = webhook,extender; brain = planner,controller,certificates.",
    )
    namespace: str = Field(
        default="lws-placement-system",
        description="Namespace of our own objects: holds, leader Lease, certificates.",
    )
    kubeconfig: Path | None = Field(
        default=None,
        description="Credentials; else the pod's ServiceAccount, else the default kubeconfig.",
    )
    identity: str = Field(
        default="", description="Name of this replica in Leases and events; default: host and pid."
    )
    bind_address: str = Field(default="0.0.0.0", description="Address that all servers listen on.")
    webhook_port: int = Field(
        default=9443, ge=0, le=65535, description="HTTPS; 0 takes a free one."
    )
    extender_port: int = Field(
        default=9444, ge=0, le=65535, description="HTTPS with client certificates; 0: a free one."
    )
    webhook_client_ca: Path | None = Field(
        default=None,
        description="PEM file of the CA of kube-apiserver's client certificate: the webhook then "
        "serves nobody else. Read again when it changes.",
    )
    health_port: int = Field(
        default=8080, ge=0, le=65535, description="HTTP: /healthz /readyz /metrics; 0: a free one."
    )
    ports_file: Path | None = Field(
        default=None, description="Write the ports in use to this file as JSON, once all listen."
    )
    service_names: Annotated[tuple[str, ...], NoDecode] = Field(
        default=("lws-placement-webhook", "lws-placement-extender"),
        description="Services whose DNS names the serving certificate covers.",
    )
    extra_addresses: Annotated[tuple[str, ...], NoDecode] = Field(
        default=("127.0.0.1",),
        description="More IP addresses that the serving certificate covers (say, a clusterIP).",
    )
    extender_configured: bool = Field(
        default=True,
        description="kube-scheduler calls our extender. Without it members are never pinned at "
        "admission, as nobody makes the last check.",
    )
    member_scheduler: str = Field(
        default="",
        description="A second kube-scheduler, which calls our extender: members are left to it in "
        "place of the default scheduler. Empty: members stay with the scheduler they ask for.",
    )
    placing: bool = Field(
        default=True,
        description="Gate and place exclusive groups. False: the webhook does only what "
        "LeaderWorkerSet's own does, to compare, or to switch placement off for new pods.",
    )
    guarded_resources: Annotated[tuple[str, ...], NoDecode] = Field(
        default=("google.com/tpu", "nvidia.com/gpu"),
        description="Resources of which the extender keeps foreign pods off held room.",
    )
    affinity: AffinityMode = Field(
        default=AffinityMode.ALWAYS,
        description="Keep LeaderWorkerSet's exclusive affinity terms on planned members (always) "
        "or leave them out (never).",
    )
    extended_resource_toleration: Tolerations = Field(
        default=Tolerations.AUTO,
        description="Does the API server add tolerations for extended resources to pods (its "
        "plugin ExtendedResourceToleration)? true, false, or auto: as pods show.",
    )
    max_group_size: int = Field(
        default=DEFAULT_MOST_SIZE,
        ge=1,
        le=MOST_SIZE,
        description="Pods that a group may have: a larger one is refused at admission.",
    )
    topology_keys: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        description="Comma-separated: node label keys whose domains groups may take, such as "
        "cloud.google.com/gke-nodepool; * stands for any text. Empty: any key.",
    )
    largest_domain_share: float = Field(
        default=0.5,
        gt=0,
        le=1,
        description="A domain with more than this share of the cluster's nodes is only for groups "
        "that fill it, with a pod for every 4 nodes. 1: no limit. Does not count in clusters of at "
        "most 10 nodes.",
    )
    domains_per_namespace: dict[str, Annotated[int, Field(ge=0)]] = Field(
        default_factory=dict,
        description="Domains that the groups of a namespace may hold, by name or pattern of the "
        'namespace, as JSON: {"*": 4, "team-a": 20}. Others: no limit.',
    )
    waiting_places_per_namespace: dict[str, Annotated[int, Field(ge=0)]] = Field(
        default_factory=dict,
        description="Waiting groups of a namespace for which a place may be kept from later "
        "groups, where domains of several keys overlap: as domains_per_namespace.",
    )
    hold_seconds: float = Field(
        default=60.0,
        ge=0,
        description="How long a domain is kept for a group without pods, or for members that do "
        "not come beside their leader, though others wait for it.",
    )
    refused_after_seconds: float = Field(
        default=10.0,
        ge=0,
        description="A member that kube-scheduler refuses for this long, where it fits by our "
        "model, makes its group leave the domain.",
    )
    unserved_after_seconds: float = Field(
        default=60.0,
        ge=0,
        description="A member that names another scheduler, which does not look at it for this "
        "long, makes its group give its room up and wait.",
    )
    pass_over_seconds: float = Field(
        default=30.0,
        gt=0,
        description="How long a group passes over a domain that it left so, or waits if nobody "
        "serves it; twice as long with each time in a row, 15 minutes at most.",
    )
    move_seconds: float = Field(
        default=60.0,
        ge=0,
        description="Most between two moves of one group in a row; the first ones follow sooner.",
    )
    quarantine_failures: int = Field(
        default=3,
        ge=1,
        description="After so many failures of a domain's nodes under a group within "
        "quarantine_seconds, the domain is that group's last choice.",
    )
    quarantine_seconds: float = Field(
        default=1800.0, ge=0, description="How long a failure of a domain's nodes counts."
    )
    force_delete_after: float | None = Field(
        default=None,
        ge=0,
        description="Opt-in: force the deletion of a member that is Terminating on a node that is "
        "not ready, so many seconds after its grace. Its containers may still run there.",
    )
    scale_up: ScaleUpMode = Field(
        default=ScaleUpMode.AUTO,
        description="Request a new domain for a group that nothing which exists can serve: pods "
        "(placeholder pods in our namespace), provisioning-request (ProvisioningRequests of "
        "Cluster Autoscaler, there), off, or auto: what the cluster serves.",
    )
    scale_up_class: str = Field(
        default="best-effort-atomic-scale-up.autoscaling.x-k8s.io",
        min_length=1,
        description="provisioningClassName of ProvisioningRequests.",
    )
    scale_up_after_seconds: float = Field(
        default=10.0, ge=0, description="How long a group waits before nodes are requested for it."
    )
    scale_up_groups: int = Field(
        default=4, ge=1, description="Groups at a time that nodes are requested for."
    )
    scale_up_timeout_seconds: float = Field(
        default=1200.0,
        gt=0,
        description="After so long a request is given up; the next one follows later and later.",
    )
    admission_check_patience_seconds: float = Field(
        default=600.0,
        gt=0,
        description="How long a Workload of Kueue that our AdmissionCheck is asked about may wait "
        "for a domain with quota; then the quota is given back, and Kueue tries again later.",
    )
    admission_check_rejects: bool = Field(
        default=False,
        description="After admission-check-patience-seconds a Workload is rejected for good.",
    )
    headroom: dict[str, str] = Field(
        default_factory=dict,
        description='Kept free on every node when planning, as JSON: {"cpu": "500m"}.',
    )
    lease_seconds: float = Field(
        default=15.0, ge=1, description="Leader Lease: after this long another replica takes over."
    )
    stall_seconds: float = Field(
        default=30.0,
        ge=1,
        description="For how long the main loop may make no progress: then /healthz fails, and the "
        "leader Lease is not renewed, so another replica takes over lease_seconds later.",
    )
    shutdown_delay_seconds: float = Field(
        default=5.0,
        ge=0,
        description="Webhook and extender serve on after SIGTERM, not ready, until nobody has made "
        "a connection for so long, as a kube-proxy may still send requests here: at most four "
        "times as long.",
    )
    log_level: str = Field(default="INFO", description="DEBUG, INFO, WARNING or ERROR.")
    log_format: Literal["text", "json"] = Field(default="text", description="text or json.")

    @field_validator("roles", mode="before")
    @classmethod
    def _expand_roles(cls, value: object) -> object:
        names = value.split(",") if isinstance(value, str) else value
        if not isinstance(names, list | tuple):
            return value
        stripped = [str(name).strip() for name in names]
        roles = [role for name in stripped for role in ROLE_SETS.get(name, [name])]
        return tuple(dict.fromkeys(roles))

    @field_validator(
        "service_names", "extra_addresses", "guarded_resources", "topology_keys", mode="before"
    )
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator("extended_resource_toleration", mode="before")
    @classmethod
    def _as_word(cls, value: object) -> object:
        """YAML parses true and false as booleans."""
        return str(value).lower() if isinstance(value, bool) else value

    @field_validator(*_NAMES)
    @classmethod
    def _is_name(cls, value: str, info: ValidationInfo) -> str:
        if value and not _NAME.fullmatch(value):
            what = _NAMES[str(info.field_name)]
            raise ValueError(f"must be a {what}: a-z, 0-9, - and ., at most 253 of them")
        return value

    @field_validator("log_level")
    @classmethod
    def _known_level(cls, value: str) -> str:
        if value.upper() not in ("DEBUG", "INFO", "WARNING", "ERROR"):
            raise ValueError("must be DEBUG, INFO, WARNING or ERROR")
        return value.upper()

    @model_validator(mode="after")
    def _headroom_is_quantities(self) -> "Settings":
        self.headroom_amounts()
        return self

    def failure_policy(self) -> Policy:
        return Policy(
            refused_after_s=self.refused_after_seconds,
            unserved_after_s=self.unserved_after_seconds,
            missing_after_s=self.hold_seconds,
            pass_over_s=self.pass_over_seconds,
            failures=self.quarantine_failures,
            window_s=self.quarantine_seconds,
            force_after_s=self.force_delete_after,
        )

    def topology_policy(self) -> TopologyPolicy:
        return TopologyPolicy(
            self.topology_keys,
            self.largest_domain_share,
            self.domains_per_namespace,
            self.waiting_places_per_namespace,
        )

    def headroom_amounts(self) -> dict[str, int]:
        try:
            return {name: amount_requested(name, q) for name, q in self.headroom.items()}
        except InvalidObjectError as e:
            raise ValueError(f"headroom: {e}") from e

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        yaml = YamlConfigSettingsSource(settings_cls, yaml_file=_yaml_file.get("path"))
        return init_settings, _Environment(settings_cls), yaml


class _Environment(EnvSettingsSource):
    """Environment variables, without kubelet's service links."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        value, key, is_complex = super().get_field_value(field, field_name)
        if isinstance(value, str) and value.lower().startswith(_SERVICE_LINKS):
            value = None
        return value, key, is_complex


_yaml_file: dict[str, Path | None] = {}


def load_settings(flags: dict[str, Any], *, file: Path | None = None) -> Settings:
    """Raises SettingsError, which names the setting."""
    if file is not None and not file.is_file():
        raise SettingsError(f"--config {file}: there is no such file")
    _yaml_file["path"] = file
    try:
        return Settings(**{k: v for k, v in flags.items() if v is not None})
    except ValidationError as e:
        problems = "; ".join(
            f"{'.'.join(str(part) for part in error['loc'])}: {error['msg']}"
            for error in e.errors()
        )
        raise SettingsError(f"bad settings: {problems}") from e
    except ValueError as e:
        raise SettingsError(f"bad settings: {e}") from e
    finally:
        _yaml_file["path"] = None
