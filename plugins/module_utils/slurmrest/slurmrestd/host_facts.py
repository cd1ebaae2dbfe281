"""The keys of the facts, with their types: for whoever reads them, so that a misspelt key is an error of the checker.

The host itself gives plain dictionaries (:func:`..facts.host.look`); a test holds them and these classes equal. What
reads them on the controller is given them as :class:`HostFacts`.
"""

from __future__ import annotations

from typing import Any, TypedDict


class DaemonFacts(TypedDict):
    """A daemon's binary; ``version`` is None where it tells none, and ``error`` says why."""

    path: str
    version: str | None
    error: str | None
    missing_library: str | None


class OsFacts(TypedDict):
    """The distribution: ``family`` is Debian, RedHat, Suse or empty."""

    family: str
    id: str
    version: str
    codename: str


class PluginFacts(TypedDict):
    """Which plugins there are."""

    auth_jwt: bool
    auth_munge: bool
    auth_slurm: bool
    rest_auth_jwt: bool
    rest_auth_local: bool
    tls_s2n: bool
    openapi: list[str]
    data_parser: list[str]


class ConfFacts(TypedDict):
    """What slurm.conf and slurmdbd.conf have in common."""

    path: str
    exists: bool
    readable: bool
    ours: bool
    files: list[str]
    missing_includes: list[str]
    errors: list[str]
    slurm_user: str | None
    auth_type: str | None
    auth_alt_types: list[str]
    auth_alt_parameters: dict[str, str | None]
    jwt: bool
    jwt_key: str
    jwt_key_origin: str
    jwks: str
    jwt_key_path: str


class TlsFileFacts(TypedDict):
    """Certificate or key of TLS listeners; ``open`` is whether others may do with it what they must not."""

    path: str
    exists: bool
    readable: bool | None
    open: bool


class SlurmConfFacts(ConfFacts):
    """What slurm.conf says. Ports are texts: SlurmctldPort may be a range."""

    cluster_name: str | None
    slurmctld_hosts: list[str]
    slurmctld_addresses: list[str]
    slurmctld_timeout: int
    slurmctld_port: str
    slurmd_port: str
    state_save_location: str | None
    slurmd_spool_dir: str | None
    accounting_storage_type: str
    accounting_storage_host: str | None
    accounting_storage_hosts: list[str]
    accounting_storage_port: str
    accounting: bool
    ipv6: bool
    tls_files: list[TlsFileFacts]
    readable_by_account: bool | None
    unreadable_by_account: list[str]


class DbdConfFacts(ConfFacts):
    """What slurmdbd.conf says."""

    dbd_host: str | None
    dbd_hosts: list[str]
    dbd_port: str
    storage_type: str | None


class UnitState(TypedDict):
    """What systemd says of a unit."""

    load: str
    active: str
    sub: str
    enabled: bool
    unit_file_state: str
    result: str
    fragment: str
    dropins: list[str]
    needs_reload: bool
    outdated: bool
    starting: bool


class UnitStates(TypedDict):
    """The units of Slurm's daemons."""

    slurmrestd: UnitState
    slurmctld: UnitState
    slurmdbd: UnitState
    slurmd: UnitState


class EnvironmentFileAt(TypedDict):
    """One ``EnvironmentFile=`` of a unit."""

    path: str
    optional: bool
    present: bool
    sectioned: bool
    origin: str


class ListenerSeen(TypedDict):
    """An address that a unit names; ``listener`` is None where no release takes it."""

    text: str
    origin: str
    listener: dict[str, Any] | None


class OptionSeen(TypedDict):
    """An option of slurmrestd's command line."""

    flag: str
    value: str | None
    origin: str


class EffectiveUnitFacts(TypedDict):
    """What systemd makes of a unit's files."""

    fragment: str | None
    dropins: list[str]
    exec_start: list[list[str]]
    exec_reload: list[str]
    user: str | None
    group: str | None
    dynamic_user: bool
    supplementary_groups: list[str]
    environment: dict[str, str]
    environment_origins: dict[str, str]
    environment_files: list[EnvironmentFileAt]
    conditions: list[str]
    listeners: list[ListenerSeen]
    options: list[OptionSeen]
    unreadable: list[str]


class EnvironmentFileFacts(TypedDict):
    """The environment file that is ours to write."""

    path: str
    ours: bool
    variables: list[str]


class AccountFacts(TypedDict):
    """An account; numbers are None where it does not exist."""

    name: str
    exists: bool
    uid: int | None
    gid: int | None
    group: str | None
    supplementary_groups: list[str]
    gids: list[int]
    home: str | None
    shell: str | None


class PathFacts(TypedDict):
    """A path that may not be there; ``enter`` and ``write`` are of the account."""

    exists: bool
    nearest: str
    kind: str | None
    enter: bool
    write: bool
    given: bool  # a directory below /run that the service may be given


class ExistingPathFacts(PathFacts, total=False):
    """A path that is there has these, too."""

    uid: int
    gid: int
    owner: str
    group: str
    mode: str
    others_write: bool


class LookFacts(TypedDict):
    """What :func:`..facts.host.look` gives."""

    slurmrestd: DaemonFacts
    slurmctld: DaemonFacts
    slurmdbd: DaemonFacts
    slurmd: DaemonFacts
    euid: int
    processors: int
    os: OsFacts
    packages: list[str]
    packaging: str
    package: str | None
    version: str | None
    prefix: str | None
    config_dir: str
    plugin_dir: str | None
    plugins: PluginFacts
    slurm_conf: SlurmConfFacts
    slurmdbd_conf: DbdConfFacts
    systemd: bool
    systemd_version: int | None
    units: UnitStates
    unit: EffectiveUnitFacts
    vendor_unit: EffectiveUnitFacts
    unit_without_ours: EffectiveUnitFacts
    contradictions: list[dict[str, Any]]
    environment_file: EnvironmentFileFacts
    fragment_ours: bool
    dropin: str
    written: list[str]
    adopted: dict[str, Any]
    not_adopted: dict[str, Any]
    running: list[dict[str, Any]]
    account: AccountFacts
    exposed: list[str]
    slurm_user: AccountFacts | None
    groups: dict[str, int | None]
    paths: dict[str, ExistingPathFacts]


class HostFacts(LookFacts):
    """The same with what the release table says (:func:`..facts.detection.with_release`)."""

    release: dict[str, Any] | None
    warning: str | None
    release_error: str | None
    digest: str
