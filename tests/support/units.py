"""Every line of the unit files, as it was reviewed, and how systemd says that it has understood.

A line that goes, changes or comes is to go, change or come here too, and whoever does it says why.
"""

from pathlib import Path
from typing import NamedTuple

DIRECTORY = Path(__file__).resolve().parents[2] / "systemd"
BINDIR = "/usr/local/bin"


class Line(NamedTuple):
    section: str
    text: str
    shown: str = ""  # of `systemctl show`: Name=value, Name~word among others; "": it does not


# What a service may not do, which has no need of it. Shown as it is written.
SANDBOX = [Line("Service", text, text) for text in """\
UMask=0077
CapabilityBoundingSet=
NoNewPrivileges=yes
PrivateUsers=yes
PrivateDevices=yes
PrivateIPC=yes
PrivateMounts=yes
PrivateTmp=yes
ProcSubset=pid
ProtectClock=yes
ProtectControlGroups=yes
ProtectHome=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectProc=invisible
ProtectSystem=strict
RemoveIPC=yes
KeyringMode=private
LockPersonality=yes
MemoryDenyWriteExecute=yes
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LimitCORE=0
SystemCallArchitectures=native
User=orderd
Type=notify
Restart=always""".splitlines()] + [
    Line("Service", "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6",
         "RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX"),
    Line("Service", "SystemCallErrorNumber=EPERM", "SystemCallErrorNumber=1"),
    Line("Service", "SystemCallFilter=@system-service", "SystemCallFilter~epoll_wait"),
    Line("Service", "SystemCallFilter=~@privileged @resources"),
    Line("Service", "RestartSec=1s", "RestartUSec=1s"),
    Line("Service", "TimeoutStopSec=15s", "TimeoutStopUSec=15s"),
    Line("Service", "WatchdogSec=30s", "WatchdogUSec=30s"),
    Line("Service", "ExecReload=kill -HUP $MAINPID", "ExecReload~argv[]=kill -HUP $MAINPID"),
    Line("Unit", "StartLimitIntervalSec=0", "StartLimitIntervalUSec=0"),
    Line("Unit", "Documentation=man:orderd(8) man:orderd.conf(5)",
         'Documentation="man:orderd(8)" "man:orderd.conf(5)"'),
    Line("Install", "WantedBy=multi-user.target"),
]

UNITS = {
    "orderd-receive.service": SANDBOX + [
        Line("Unit", "Description=Receive Torque Checkout webhooks into PostgreSQL",
             "Description=Receive Torque Checkout webhooks into PostgreSQL"),
        Line("Unit", "Requires=orderd-receive.socket", "Requires~orderd-receive.socket"),
        Line("Unit", "After=orderd-receive.socket network.target postgresql.service",
             "After~network.target"),
        Line("Service", "ExecStart=@bindir@/orderd receive",
             "ExecStart~argv[]=%s/orderd receive" % BINDIR),
        Line("Service", "Sockets=orderd-receive.socket", "TriggeredBy=orderd-receive.socket"),
        Line("Service", "LoadCredential=webhook-secret:/etc/orderd/credentials/webhook-secret"),
        Line("Service", "LimitNOFILE=16384", "LimitNOFILE=16384"),
        Line("Install", "Also=orderd-receive.socket"),
    ],
    "orderd-reconcile.service": SANDBOX + [
        Line("Unit", "Description=Reconcile Torque Checkout orders in PostgreSQL with the API",
             "Description=Reconcile Torque Checkout orders in PostgreSQL with the API"),
        Line("Unit", "After=network-online.target postgresql.service",
             "After~network-online.target"),
        Line("Unit", "Wants=network-online.target", "Wants~network-online.target"),
        Line("Service", "ExecStart=@bindir@/orderd reconcile",
             "ExecStart~argv[]=%s/orderd reconcile" % BINDIR),
        Line("Service", "LoadCredential=api-key:/etc/orderd/credentials/api-key"),
        Line("Service", "SocketBindDeny=any", "SocketBindDeny=any"),
        Line("Service", "SocketBindAllow=tcp:8482", "SocketBindAllow=tcp8482"),
    ],
    "orderd-receive.socket": [
        Line("Unit", "Description=Where Torque Checkout webhooks arrive",
             "Description=Where Torque Checkout webhooks arrive"),
        Line("Unit", "Documentation=man:orderd(8)", 'Documentation="man:orderd(8)"'),
        Line("Socket", "ListenStream=127.0.0.1:8480", "Listen=127.0.0.1:8480 (Stream)"),
        Line("Socket", "NoDelay=yes", "NoDelay=yes"),
        Line("Socket", "Backlog=4096", "Backlog=4096"),
        Line("Socket", "TriggerLimitIntervalSec=0", "TriggerLimitIntervalUSec=0"),
        Line("Install", "WantedBy=sockets.target"),
    ],
}
SYSUSERS = 'u orderd - "Torque Checkout orders"\n'


def text_of(unit):
    plain, template = DIRECTORY / unit, DIRECTORY / (unit + ".in")
    return (template if template.exists() else plain).read_text(encoding="utf-8")


def lines_of(text):
    """[(section, line)], comments left out."""
    found, section = [], None
    for line in text.splitlines():
        if line.startswith("["):
            section = line.strip("[]")
        elif line and not line.startswith("#"):
            found.append((section, line))
    return found


def differences(unit, text):
    """Sentences about lines that are in the file or in the review alone."""
    reviewed = sorted((line.section, line.text) for line in UNITS[unit])
    given = sorted(lines_of(text))
    return (["%s: [%s] %s is not there" % (unit, *line) for line in reviewed if line not in given]
            + ["%s: [%s] %s is not reviewed" % (unit, *line)
               for line in given if given.count(line) > reviewed.count(line)])


def misunderstood(unit, shown):
    """The reviewed lines that `systemctl show --all` does not show."""
    values = dict(line.split("=", 1) for line in shown.splitlines() if "=" in line)

    def holds(line):
        name, sign, value = (line.shown.partition("~") if "~" in line.shown.split("=")[0]
                             else line.shown.partition("="))
        told = values.get(name)
        return told == value if sign == "=" else told is not None and value in told

    return ["%s: %s, but %s=%s" % (unit, line.text, name, values.get(name))
            for line in UNITS[unit] if line.shown and not holds(line)
            for name in [line.shown.split("=")[0].split("~")[0]]]
