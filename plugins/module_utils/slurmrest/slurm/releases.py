"""The one release table: what each Slurm series can do, as data.

One row a series, capabilities as columns. A row states what differs from the row before it. A cell that changed
inside a series is written ``since(before, {"24.05.4": after})`` and resolved for an exact version by :func:`lookup`.
No other module branches on a Slurm version.

Sources are Slurm's own files (``etc/slurmrestd.service.in``, ``src/slurmrestd/``, ``src/conmgr/``, manual pages,
RELEASE_NOTES; for what ends slurmctld ``controller.c``, ``partition_mgr.c``, ``as_mysql_cluster.c`` and the folders of
``src/plugins/``) at the last tag of each series, and daemons that were run; each row names its own.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields, replace
from typing import TYPE_CHECKING, Any, TypeVar, cast

from ..errors import InputError
from .api_versions import API_VERSIONS
from .unknown_release import unlisted
from .version import Version

if TYPE_CHECKING:
    from collections.abc import Mapping

T = TypeVar("T")


@dataclass(frozen=True)
class Since:
    """A cell that changed inside its series: ``before``, then (version, value) steps in ascending order."""

    before: Any
    steps: tuple[tuple[str, Any], ...]

    def at(self, version: Version) -> Any:
        """The value for an exact version."""
        value = self.before
        for since_version, after in self.steps:
            if version >= Version.parse(since_version):
                value = after
        return value


def since(before: T, steps: Mapping[str, T]) -> T:
    """Write a cell that changed inside its series; typed as its value, since :func:`lookup` resolves it."""
    return cast("T", Since(before, tuple(steps.items())))


@dataclass(frozen=True)
class Release:
    """One Slurm series. Columns are grouped by the question they answer; a comment says what a value means."""

    # --- identity ---------------------------------------------------------------------------------------------------
    series: str
    last_known: str  # the last release of the series when the row was written
    source: str
    upgrades_from: tuple[str, ...]  # series that may be upgraded to this one directly

    protocol_version: int  # in the head of each state file of slurmctld (src/common/slurm_protocol_common.h)

    # --- API versions -----------------------------------------------------------------------------------------------
    api_versions: tuple[str, ...]  # under /slurm/, oldest first
    slurmdb_api_versions: tuple[str, ...]  # under /slurmdb/
    deprecated_api: tuple[str, ...]  # served, but gone with the next series
    api_needs_accounting: tuple[str, ...]  # every call fails (500) without a slurmdbd, yet a submitted job runs
    api_fails_with_slurmdbd: tuple[str, ...]  # every call fails while a configured slurmdbd is down or lacks auth/jwt

    # --- command line and environment -------------------------------------------------------------------------------
    openapi_plugins: str  # for -s: "versioned" (openapi/v0.0.NN), "named" (openapi/slurmctld) or "both"
    openapi_without_accounting: str | None  # -s needed to start when there is no slurmdbd; None: starts without
    data_parser_flag: bool  # -d
    data_parser_latest: bool  # -d latest
    max_connections_flag: bool  # --max-connections
    generate_openapi_spec: bool  # --generate-openapi-spec: the document without a running daemon
    default_threads: int | None  # None: chosen by the daemon from the processors
    min_threads: int
    max_threads: int
    thread_limits_fatal: bool  # a number beyond them ends the daemon; otherwise the limit is taken instead
    default_max_connections: int
    environment: tuple[str, ...]  # variables the daemon understands
    debug_levels: tuple[str, ...]  # values of SLURMRESTD_DEBUG; any other word is fatal
    security_values: tuple[str, ...]  # words of SLURMRESTD_SECURITY; any other is fatal
    disable_user_check_aborts: bool  # SLURMRESTD_SECURITY=disable_user_check ends the daemon with SIGABRT

    # --- listeners --------------------------------------------------------------------------------------------------
    duplicate_listener_fatal: bool  # the same TCP address twice; otherwise the second is ignored
    ipv6_by_config: bool  # IPv6 addresses need CommunicationParameters=EnableIPv6
    empty_host_fatal_with_ipv6: bool  # ":6820" cannot bind under EnableIPv6
    socket_mode_0777: bool  # UNIX sockets are 0777 whatever the umask; otherwise the umask decides
    unlinks_stale_socket: bool  # a socket of a killed daemon is replaced; otherwise it is fatal
    removes_socket_on_sigterm: bool  # no series does; SIGINT does
    slurmrestd_https: bool  # https:// listeners, given a TLS plugin
    stop_signal: str  # ends it under load: SIGINT, on which it finishes requests; SIGTERM where it may not end

    # --- who it may run as ------------------------------------------------------------------------------------------
    refuses_root: bool
    refuses_root_group: bool
    refuses_slurm_user: bool  # the check works; in some releases it is without effect
    refuses_slurm_group: bool
    refuses_nobody: bool  # uid or gid 99 only
    refuses_bad_extra_groups: bool  # supplementary groups are checked like the group
    extra_groups_fatal: bool  # supplementary groups end it when -g is given to a process that may not drop them

    # --- JWT --------------------------------------------------------------------------------------------------------
    user_header_required: bool  # X-SLURM-USER-NAME must come with the token
    bearer: bool  # Authorization: Bearer is understood
    auth_prefix_required: bool  # AuthAltTypes=jwt without "auth/" is fatal
    key_mode_fatal: bool  # slurmctld and slurmdbd end when others may access the key
    reconfigure_rereads_key: bool  # slurmctld loads the key anew on reconfigure; otherwise only on start
    missing_jwt_plugin_fatal: bool  # slurmrestd ends without auth_jwt.so; otherwise it answers 401
    jwks: bool  # AuthAltParameters=jwks=…
    jwks_skips_other_keys: bool  # keys that are not RSA are skipped; otherwise they are fatal
    disable_token_creation: bool  # AuthAltParameters: scontrol token for root and SlurmUser only
    max_token_lifespan: bool  # AuthAltParameters, in seconds; root and SlurmUser are exempt
    userclaimfield: bool  # AuthAltParameters: a claim that names the user where sun and username do not
    use_jwt_client_ids: bool  # AuthAltParameters: uid, gid, groups from claims
    auth_alt_items: tuple[str, ...]  # AuthAltParameters: read item by item; of the rest the name may be anywhere
    lifespan_infinite: bool  # scontrol token lifespan=infinite; otherwise it means the default
    token_for_oneself: bool  # an ordinary user may name himself in scontrol token username=
    auth_slurm: bool  # auth/slurm and sackd exist: munge is not the only authentication
    unknown_user_reads: bool  # a rightly signed token for a user whom slurmctld does not know reads jobs
    unknown_user_submits: bool | None  # … submits a job, which becomes that of nobody; None: not known

    # --- answers ----------------------------------------------------------------------------------------------------
    no_token_status: int
    bad_token_status: int  # also: expired, other key, user name that does not match
    auth_alt_missing_status: int  # slurmctld without AuthAltTypes=auth/jwt
    ctld_down_status: int
    dbd_down_status: int | None  # /slurmdb/…/clusters; None: slurmrestd crashes
    dbd_down_diag_status: int | None  # /slurmdb/…/diag; 200 is an answer with errors inside
    plain_user_dbd_diag_status: int  # /slurmdb/…/diag with a token of an ordinary user
    unknown_url_status: int
    wrong_method_status: int  # 200: the method is ignored and the URL read
    bad_url_char_status: int  # in the path
    bad_query_char_status: int
    bad_content_type_status: int  # a type that no plugin knows; JSON with a charset is one
    no_content_type_status: int
    bad_accept_status: int
    unknown_job_status: int
    ping_lies: bool  # ping answers 200 although slurmctld was not reached or the token is bad (on 23.11: 500 for that)
    health_endpoints: bool  # /healthz, /livez, /readyz
    swapped_ports_in_log: bool  # TCP ports are printed byte-swapped: 42010 is 6820

    # --- upstream's unit --------------------------------------------------------------------------------------------
    unit_listeners: tuple[str, ...]  # in ExecStart of RPMs; DEBs have unix:/usr/com/slurmrestd.socket
    unit_listen_variable: str | None  # value of SLURMRESTD_LISTEN
    unit_sets_jwt: bool  # SLURM_JWT=daemon
    unit_user: str | None
    unit_exec_reload: bool  # ExecReload sends SIGHUP, which ends the daemon
    unit_environment_files: tuple[str, ...]  # in the order they are read: later beats earlier

    # --- the other daemons ------------------------------------------------------------------------------------------
    cluster_id_checked: bool  # slurmctld ends when the database has another id than its clustername file
    registers_own_cluster_id: bool  # a cluster that the database does not know is registered under the file's id
    nodes_need_address: bool  # a restart drops a node made with scontrol whose address cannot be resolved
    part_state_kept: bool  # ReconfigFlags=KeepPartInfo and KeepPartState count for a restart, too
    removed_plugins: tuple[str, ...]  # values that scontrol still takes and slurmctld ends with
    include_beside_includer: bool  # a relative Include is looked for beside its file; otherwise beside slurm.conf
    daemon_http: bool  # slurmctld and slurmd answer HTTP on their ports (CommunicationParameters=disable_http ends it)
    # CgroupPlugin for a slurmd without cgroups of its own; None: there is no such option
    slurmd_cgroup_plugin_in_containers: str | None

    @property
    def newest_api(self) -> str:
        """The newest API version, such as ``v0.0.42``."""
        return self.api_versions[-1]

    def at(self, version: Version) -> Release:
        """This row with every since-cell resolved for ``version``."""
        cells: dict[str, Any] = {field.name: getattr(self, field.name) for field in fields(self)}
        return Release(**{name: cell.at(version) if isinstance(cell, Since) else cell for name, cell in cells.items()})

    def cell(self, column: str) -> list[tuple[str | None, object]]:
        """The history of one column inside the series: ``(None, value)``, then ``(since version, value)`` steps."""
        value = getattr(self, column)
        if isinstance(value, Since):
            return [(None, value.before), *value.steps]
        return [(None, value)]


def _next(previous: Release, **changes: Any) -> Release:
    """The row after ``previous``: its last state, with what changed."""
    return replace(previous.at(Version.parse(previous.last_known)), **changes)


_ENVIRONMENT = (
    "SLURM_CONF",
    "SLURM_CONF_SERVER",
    "SLURM_JWT",
    "SLURMRESTD_LISTEN",
    "SLURMRESTD_DEBUG",
    "SLURMRESTD_AUTH_TYPES",
    "SLURMRESTD_OPENAPI_PLUGINS",
)

_DEBUG_NUMBERS = (*"123456789", "10")
_DEBUG_NAMES = ("fatal", "error", "info", "verbose", "debug", "debug2", "debug3", "debug4", "debug5")

_20_11 = Release(
    series="20.11",
    last_known="20.11.9",
    source="unit, src/slurmrestd, auth_jwt.c and RELEASE_NOTES at slurm-20-11-9-1; run on 20.11.4 (Debian bullseye)",
    upgrades_from=("20.02", "19.05"),
    protocol_version=36 << 8,
    api_versions=("v0.0.35", "v0.0.36"),
    slurmdb_api_versions=("v0.0.36",),
    deprecated_api=(),
    api_needs_accounting=(),
    api_fails_with_slurmdbd=(),
    openapi_plugins="versioned",
    openapi_without_accounting="openapi/v0.0.36",
    data_parser_flag=False,
    data_parser_latest=False,
    max_connections_flag=False,
    generate_openapi_spec=False,
    default_threads=20,
    min_threads=2,
    max_threads=1024,
    thread_limits_fatal=True,
    default_max_connections=124,
    environment=_ENVIRONMENT,
    debug_levels=_DEBUG_NUMBERS,
    security_values=(),
    disable_user_check_aborts=False,
    duplicate_listener_fatal=True,
    ipv6_by_config=False,
    empty_host_fatal_with_ipv6=False,
    socket_mode_0777=False,
    unlinks_stale_socket=False,
    removes_socket_on_sigterm=False,
    slurmrestd_https=False,
    stop_signal="SIGINT",
    refuses_root=False,
    refuses_root_group=False,
    refuses_slurm_user=False,
    refuses_slurm_group=False,
    refuses_nobody=False,
    refuses_bad_extra_groups=False,
    extra_groups_fatal=True,
    user_header_required=True,
    bearer=False,
    auth_prefix_required=True,
    key_mode_fatal=False,
    reconfigure_rereads_key=False,
    missing_jwt_plugin_fatal=False,
    jwks=False,
    jwks_skips_other_keys=False,
    disable_token_creation=True,
    max_token_lifespan=False,
    userclaimfield=False,
    use_jwt_client_ids=False,
    auth_alt_items=(),
    lifespan_infinite=False,
    token_for_oneself=False,
    auth_slurm=False,
    unknown_user_reads=True,
    unknown_user_submits=None,
    no_token_status=401,
    bad_token_status=500,
    auth_alt_missing_status=500,
    ctld_down_status=500,
    dbd_down_status=None,
    dbd_down_diag_status=None,
    plain_user_dbd_diag_status=500,
    unknown_url_status=404,
    wrong_method_status=200,
    bad_url_char_status=400,
    bad_query_char_status=400,
    bad_content_type_status=400,
    no_content_type_status=400,
    bad_accept_status=400,
    unknown_job_status=500,
    ping_lies=False,
    health_endpoints=False,
    swapped_ports_in_log=False,
    unit_listeners=("unix:/var/lib/slurmrestd.socket",),
    unit_listen_variable=None,
    unit_sets_jwt=False,
    unit_user=None,
    unit_exec_reload=True,
    unit_environment_files=("/etc/sysconfig/slurmrestd",),
    cluster_id_checked=False,
    registers_own_cluster_id=False,
    nodes_need_address=False,
    part_state_kept=False,
    removed_plugins=(),
    include_beside_includer=True,
    daemon_http=False,
    slurmd_cgroup_plugin_in_containers=None,
)

_21_08 = _next(
    _20_11,
    series="21.08",
    last_known="21.08.8",
    source="unit, src/slurmrestd, auth_jwt.c, cgroup.conf(5) and RELEASE_NOTES at slurm-21-08-8-2; run on 21.08.8-2",
    upgrades_from=("20.11", "20.02"),
    protocol_version=37 << 8,
    api_versions=("v0.0.35", "v0.0.36", "v0.0.37"),
    slurmdb_api_versions=("v0.0.36", "v0.0.37"),
    deprecated_api=("v0.0.35",),
    openapi_without_accounting="openapi/v0.0.37",
    environment=(*_20_11.environment, "SLURMRESTD_SECURITY"),
    security_values=("disable_unshare_sysv", "disable_user_check"),
    refuses_root=True,
    refuses_slurm_user=True,
    jwks=True,
    dbd_down_status=500,
    bad_accept_status=415,
    slurmd_cgroup_plugin_in_containers="cgroup/v1",
)

_22_05 = _next(
    _21_08,
    series="22.05",
    last_known="22.05.11",
    source="unit, src/slurmrestd and RELEASE_NOTES at slurm-22-05-11-1 (22.05.3, .7 by tag); run on 22.05.8 (bookworm)",
    upgrades_from=("21.08", "20.11"),
    protocol_version=38 << 8,
    api_versions=("v0.0.36", "v0.0.37", "v0.0.38"),
    slurmdb_api_versions=("v0.0.36", "v0.0.37", "v0.0.38"),
    deprecated_api=("v0.0.36",),
    openapi_without_accounting="openapi/v0.0.38",
    security_values=since(
        ("disable_unshare_sysv", "disable_user_check"),
        {"22.05.3": ("disable_unshare_sysv", "disable_user_check", "disable_unshare_files")},
    ),
    socket_mode_0777=since(False, {"22.05.7": True}),
    unlinks_stale_socket=True,
    refuses_root_group=True,
    refuses_slurm_user=since(True, {"22.05.7": False}),
    refuses_slurm_group=since(True, {"22.05.7": False}),
    max_token_lifespan=True,
    token_for_oneself=True,
    unknown_user_submits=True,
    dbd_down_diag_status=200,
    wrong_method_status=405,
    unit_listeners=("unix:/var/lib/slurmrestd.socket", "0.0.0.0:6820"),
    unit_sets_jwt=True,
    unit_environment_files=("/etc/sysconfig/slurmrestd", "/etc/default/slurmrestd"),
)

_23_02 = _next(
    _22_05,
    series="23.02",
    last_known="23.02.8",
    source="unit, src/slurmrestd and RELEASE_NOTES at slurm-23-02-8-1 (23.02.2 and 23.02.4 by tag); run on 23.02.8",
    upgrades_from=("22.05", "21.08"),
    protocol_version=39 << 8,
    api_versions=("v0.0.37", "v0.0.38", "v0.0.39"),
    slurmdb_api_versions=("v0.0.37", "v0.0.38", "v0.0.39"),
    deprecated_api=("v0.0.37",),
    api_needs_accounting=("v0.0.39",),
    api_fails_with_slurmdbd=("v0.0.39",),
    openapi_without_accounting="openapi/v0.0.38",
    max_connections_flag=since(False, {"23.02.2": True}),
    environment=since(
        (*_21_08.environment, "SLURM_DEBUG_FLAGS"),
        {"23.02.2": (*_21_08.environment, "SLURM_DEBUG_FLAGS", "SLURMRESTD_MAX_CONNECTIONS")},
    ),
    debug_levels=(*_DEBUG_NUMBERS, *_DEBUG_NAMES),
    security_values=("disable_unshare_sysv", "disable_user_check", "disable_unshare_files", "become_user"),
    refuses_nobody=True,
    user_header_required=False,
    bearer=True,
    userclaimfield=True,
    unknown_user_submits=None,
    dbd_down_diag_status=500,
    unknown_job_status=since(500, {"23.02.4": 404}),
    include_beside_includer=False,
    removed_plugins=("slurmctld/nonstop",),
    nodes_need_address=True,
)

_23_11 = _next(
    _23_02,
    series="23.11",
    last_known="23.11.11",
    source="unit, src/slurmrestd and auth_jwt.c at slurm-23-11-11-1 (23.11.2, 23.11.6 by tag); run on 23.11.11",
    upgrades_from=("23.02", "22.05"),
    protocol_version=40 << 8,
    api_versions=("v0.0.38", "v0.0.39", "v0.0.40"),
    slurmdb_api_versions=("v0.0.38", "v0.0.39", "v0.0.40"),
    deprecated_api=("v0.0.38",),
    api_needs_accounting=(),
    api_fails_with_slurmdbd=("v0.0.39", "v0.0.40"),
    openapi_plugins="both",
    openapi_without_accounting="openapi/slurmctld",
    data_parser_flag=True,
    environment=(
        *_21_08.environment,
        "SLURM_DEBUG_FLAGS",
        "SLURMRESTD_MAX_CONNECTIONS",
        "SLURMRESTD_DATA_PARSER_PLUGINS",
        "SLURMRESTD_JSON",
        "SLURMRESTD_YAML",
    ),
    debug_levels=("0", *_DEBUG_NUMBERS, "quiet", *_DEBUG_NAMES),
    duplicate_listener_fatal=since(True, {"23.11.6": False}),
    ipv6_by_config=True,
    auth_prefix_required=False,
    key_mode_fatal=True,
    reconfigure_rereads_key=True,
    missing_jwt_plugin_fatal=True,
    unknown_user_submits=True,
    lifespan_infinite=since(False, {"23.11.2": True}),
    auth_slurm=True,
    wrong_method_status=404,
    ping_lies=True,
    removed_plugins=(*_23_02.removed_plugins, "select/cons_res", "topology/hypercube"),
    part_state_kept=True,
    auth_alt_items=("jwt_key", "jwks"),
)

_24_05 = _next(
    _23_11,
    series="24.05",
    last_known="24.05.8",
    source="unit, src/slurmrestd, cgroup.conf(5) and RELEASE_NOTES at slurm-24-05-8-1 (24.05.4 by tag); run on 24.05.8",
    upgrades_from=("23.11", "23.02"),
    protocol_version=41 << 8,
    api_versions=("v0.0.39", "v0.0.40", "v0.0.41"),
    slurmdb_api_versions=("v0.0.39", "v0.0.40", "v0.0.41"),
    deprecated_api=("v0.0.39",),
    api_fails_with_slurmdbd=(),
    openapi_without_accounting=None,
    generate_openapi_spec=True,
    environment=(*_23_11.environment, "SLURMRESTD_RESPONSE_STATUS_CODES"),
    refuses_slurm_user=since(False, {"24.05.4": True}),
    refuses_slurm_group=since(False, {"24.05.4": True}),
    swapped_ports_in_log=True,
    unit_listeners=(),
    unit_listen_variable=":6820",
    slurmd_cgroup_plugin_in_containers="disabled",
    removed_plugins=(
        *_23_11.removed_plugins,
        "job_submit/cray_aries",
        "node_features/knl_cray",
        "select/cray_aries",
        "switch/cray_aries",
    ),
)

_24_11 = _next(
    _24_05,
    series="24.11",
    last_known="24.11.7",
    source="unit, src/slurmrestd, src/conmgr and RELEASE_NOTES at slurm-24-11-7-1; run on 24.11.5 (Debian trixie)",
    upgrades_from=("24.05", "23.11", "23.02"),
    protocol_version=42 << 8,
    api_versions=("v0.0.40", "v0.0.41", "v0.0.42"),
    slurmdb_api_versions=("v0.0.40", "v0.0.41", "v0.0.42"),
    deprecated_api=(),
    openapi_plugins="named",
    openapi_without_accounting="openapi/slurmctld",
    data_parser_latest=True,
    environment=(*_24_05.environment, "ABORT_ON_FATAL"),
    # Restarted under load: SIGINT ends it in most cases, and not at all in some; SIGTERM always. (Run on 24.11.5.)
    stop_signal="SIGTERM",
    refuses_bad_extra_groups=True,
    bad_token_status=511,
    auth_alt_missing_status=511,
    ctld_down_status=502,
    dbd_down_status=502,
    dbd_down_diag_status=502,
    cluster_id_checked=True,
)

_25_05 = _next(
    _24_11,
    series="25.05",
    last_known="25.05.8",
    source="unit, src/slurmrestd, src/conmgr and RELEASE_NOTES at slurm-25-05-8-1 (25.05.7 by tag); run on 25.05.8",
    upgrades_from=("24.11", "24.05", "23.11"),
    protocol_version=43 << 8,
    api_versions=("v0.0.40", "v0.0.41", "v0.0.42", "v0.0.43"),
    slurmdb_api_versions=("v0.0.40", "v0.0.41", "v0.0.42", "v0.0.43"),
    deprecated_api=("v0.0.40",),
    default_threads=None,
    thread_limits_fatal=False,
    environment=(*_24_11.environment, "SLURM_JSON", "SLURM_YAML"),
    disable_user_check_aborts=True,
    slurmrestd_https=True,
    stop_signal="SIGINT",  # as run on 26.05: conmgr's shutdown was rewritten
    unknown_user_submits=since(True, {"25.05.8": False}),
    swapped_ports_in_log=False,
    unit_user="slurmrestd",
    unit_exec_reload=since(True, {"25.05.7": False}),
    removed_plugins=(*_24_05.removed_plugins, "topology/3d_torus"),
)

_25_11 = _next(
    _25_05,
    series="25.11",
    last_known="25.11.7",
    source="unit, src/slurmrestd, src/conmgr and RELEASE_NOTES at slurm-25-11-7-1 (25.11.4 by tag); run on 25.11.7",
    upgrades_from=("25.05", "24.11", "24.05"),
    protocol_version=44 << 8,
    api_versions=("v0.0.41", "v0.0.42", "v0.0.43", "v0.0.44"),
    slurmdb_api_versions=("v0.0.41", "v0.0.42", "v0.0.43", "v0.0.44"),
    deprecated_api=("v0.0.41",),
    openapi_without_accounting=None,
    max_threads=256,
    unknown_user_submits=since(None, {"25.11.7": False}),
    environment=(*_25_05.environment, "SLURM_DEBUG", "SLURMRESTD_DEBUG_SYSLOG", "SLURMRESTD_DEBUG_STDERR"),
    empty_host_fatal_with_ipv6=True,
    bad_url_char_status=404,
    bad_query_char_status=500,
    bad_content_type_status=415,
    no_content_type_status=500,
    unit_exec_reload=since(True, {"25.11.4": False}),
    removed_plugins=(*_25_05.removed_plugins, "node_features/knl_generic"),
    registers_own_cluster_id=True,
)

_26_05 = _next(
    _25_11,
    series="26.05",
    last_known="26.05.5",
    source="unit, src/slurmrestd and auth_jwt.c at slurm-26-05-3-1; run on 26.05.3 and 26.05.5 (Debian forky)",
    upgrades_from=("25.11", "25.05", "24.11"),
    protocol_version=45 << 8,
    api_versions=("v0.0.42", "v0.0.43", "v0.0.44", "v0.0.45"),
    slurmdb_api_versions=("v0.0.42", "v0.0.43", "v0.0.44", "v0.0.45"),
    deprecated_api=("v0.0.42",),
    jwks_skips_other_keys=since(False, {"26.05.3": True}),
    use_jwt_client_ids=True,
    auth_alt_missing_status=502,
    plain_user_dbd_diag_status=422,
    health_endpoints=True,
    auth_alt_items=("jwt_key", "jwks", "userclaimfield"),
    daemon_http=True,
)

RELEASES: tuple[Release, ...] = (_20_11, _21_08, _22_05, _23_02, _23_11, _24_05, _24_11, _25_05, _25_11, _26_05)
"""Oldest to newest. Cells may still be :class:`Since`: read them through :func:`lookup` or :meth:`Release.cell`."""


@dataclass(frozen=True)
class Row:
    """A release row for one exact version."""

    release: Release
    version: str
    warning: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """JSON-able: every column, ``version``, ``warning``, ``newest_api`` and ``api`` (facts of versions served)."""
        return {
            **{name: _plain(value) for name, value in asdict(self.release).items()},
            "version": self.version,
            "warning": self.warning,
            "newest_api": self.release.newest_api,
            "api": {name: _plain(asdict(API_VERSIONS[name])) for name in self.release.api_versions},
        }


def _plain(value: Any) -> Any:
    """Tuples as lists, inside dictionaries too, as JSON would return them."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value


def first_with(column: str, value: object = True) -> str | None:
    """The first version of the table whose ``column`` has a value: for messages such as "needs Slurm X or later"."""
    for row in RELEASES:
        for since_version, cell in row.cell(column):
            if cell == value:
                return since_version or row.series
    return None


def excerpt(*columns: str) -> list[tuple[str, dict[str, Any]]]:
    """Some columns, for a host that does not need the others: from each version on, what they hold. Oldest first."""
    found: list[tuple[str, dict[str, Any]]] = []
    for row in RELEASES:
        steps = {row.series, *(since for column in columns for since, _value in row.cell(column) if since)}
        for version in sorted(map(Version.parse, steps)):
            at = row.at(version)
            found.append((str(version), {column: _plain(getattr(at, column)) for column in columns}))
    return found


def lookup(version: str, variable: str = "slurm version") -> Row:
    """The row for an exact version (``24.11.5``, ``22.05.8-4+deb12u3``, or what ``slurmrestd -V`` prints).

    A version newer than the table, or of a series that the table does not have, gets the newest row below it and a
    warning.

    Raises:
        InputError: the version is older than the table, or is no version at all.
    """
    wanted = Version.parse(version, variable)
    at_or_below = [row for row in RELEASES if Version.parse(row.series) <= Version(wanted.major, wanted.minor)]
    if not at_or_below:
        raise InputError(
            variable,
            version,
            f"Slurm {RELEASES[0].series} to {RELEASES[-1].series}",
            reason="this release is older than any known here, and Slurm's developers no longer look after it",
            remedy="Upgrade Slurm first.",
        )
    row = at_or_below[-1]
    warning = None
    if row.series != wanted.series:
        warning = unlisted(wanted, RELEASES[0].series, RELEASES[-1].series, row.series)
    return Row(row.at(wanted), str(wanted), warning)
