"""What a compose file for some choices must contain, derived from the facts by hand.

Written from the facts of the compose builder, not from the generator: names, values and order are
spelled out here a second time.
"""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

URLS = {
    "zai": "https://open.bigmodel.cn/api/anthropic",
    "aliyun": "https://coding.dashscope.aliyuncs.com/apps/anthropic",
    "minimax": "https://api.minimaxi.com/anthropic",
    "volcengine": "https://ark.cn-beijing.volces.com/api/coding",
}
IMAGES = {
    "aliyun-acr": "registry.cn-hangzhou.aliyuncs.com/hagicode/hagicode:",
    "docker-hub": "newbe36524/hagicode:",
    "azure-acr": "hagicode.azurecr.io/hagicode:",
}
PUBLIC_KEY = "D76B5C-EC0A70-AEA453-BC9414-0A198D-V3"
DEFAULTS: dict[str, Any] = {
    "profile": "quick-start",
    "source": "aliyun-acr",
    "httpPort": "45000",
    "containerName": "hagicode-app",
    "imageTag": "0",
    "hostOS": "linux",
    "workdirPath": "",
    "workdirCreatedByRoot": False,
    "puid": "1000",
    "pgid": "1000",
    "acceptEula": False,
    "licenseKeyType": "public",
    "licenseKey": "",
    "executors": ["claude"],
    "claudeProvider": "zai",
    "claudeToken": "",
    "claudeUrl": "",
    "claudeSonnetModel": "",
    "claudeOpusModel": "",
    "claudeHaikuModel": "",
    "claudeAgentTeams": False,
    "codexKey": "",
    "codexUrl": "",
    "openCodeModel": "anthropic/claude-sonnet-4",
    "openCodeConfigFile": "",
    "codeServer": True,
    "codeServerHost": "127.0.0.1",
    "codeServerPort": "36529",
    "codeServerAuth": "none",
    "codeServerPassword": "",
    "codeServerPublish": False,
    "codeServerPublishedPort": "36529",
    "https": False,
    "httpsPort": "443",
    "lanIp": "192.168.1.100",
}
QUICK = (
    "profile",
    "source",
    "httpPort",
    "workdirPath",
    "acceptEula",
    "executors",
    "claudeProvider",
    "claudeToken",
    "claudeUrl",
    "codexKey",
    "codexUrl",
)


NAMES = ("claudeSonnetModel", "claudeOpusModel", "claudeHaikuModel", "openCodeModel")
KEYS = ("claudeToken", "codexKey", "licenseKey")
URL_FIELDS = ("claudeUrl", "codexUrl")
PATHS = ("workdirPath", "openCodeConfigFile", "openCodeAuthFile", "openCodeModelsFile")
NUMBERS = ("httpPort", "httpsPort", "codeServerPort", "codeServerPublishedPort", "puid", "pgid")
ADDRESSES = ("lanIp", "codeServerHost")
QUOTES = ('""', "''", "``", "“”", "‘’", "「」", "『』", "«»", "<>")
VISIBLE = re.compile(r"[!-~](?:[ -~]*[!-~])?")
NO_CONTROL = re.compile(r"[^\x00-\x1f\x7f-\x9f\u2028\u2029]+")


def trimmed(text: str) -> str:
    """Without separators, controls and format characters at both ends."""

    def is_edge(character: str) -> bool:
        return unicodedata.category(character) in ("Cc", "Cf", "Zs", "Zl", "Zp")

    while text and is_edge(text[0]):
        text = text[1:]
    while text and is_edge(text[-1]):
        text = text[:-1]
    return text


def _bare(text: str) -> str:
    body = text.rstrip(",;") if text[-2:-1] in [pair[1] for pair in QUOTES] else text
    if len(body) > 1 and body[0] + body[-1] in QUOTES:
        return trimmed(body[1:-1])
    return text


def _narrow(text: str) -> str:
    """Compatibility forms and dashes as ASCII has them, format characters left out."""
    text = "".join(c for c in text if unicodedata.category(c) != "Cf")
    text = re.sub("[‐‑‒–—―−]", "-", text).replace("。", ".")
    text = _bare(trimmed(unicodedata.normalize("NFKC", text)))
    return text if text.isascii() else ""


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return "%" not in text


def _is_url(text: str) -> bool:
    if not re.fullmatch(r"[!-~]+", text) or re.search(r'["<>\\^`{|}]', text):
        return False
    parts = urlsplit(text)
    return parts.scheme in ("http", "https") and bool(parts.hostname)


def _is_path(text: str) -> bool:
    starts = re.match(r"[a-zA-Z][\w+.-]*://|%[^%]+%|\$", text)
    return bool(NO_CONTROL.fullmatch(text)) and not starts


def _is_host(text: str) -> bool:
    names = re.fullmatch(r"[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*", text)
    return _is_address(text) or bool(names and re.search("[A-Za-z]", text))


def _value_of(text: str) -> str:
    text = re.sub(r"^(export |set )?[A-Z]+(_[A-Z]+)+(=|: *)(?=[^=\s])", "", text)
    return _bare(re.sub(r"(?i)^(authorization: )?bearer +", "", text))


def _path_of(text: str) -> str:
    wide = re.match("[／＼]|～[/／＼]|[A-Za-zＡ-Ｚ][:：][／＼]|[A-Za-zＡ-Ｚ]：", text)
    if wide:
        head = unicodedata.normalize("NFKC", text[: wide.end()])
        text = head + text[wide.end() :].replace("／", "/").replace("＼", "\\")
    return re.sub(r"^(\$HOME|\$\{HOME\})(/|$)", r"~\2", text)


def _reading(field: str) -> tuple[Callable[[str], str], Callable[[str], bool]]:
    """How a pasted text of that field is read, and whether the field takes the result."""
    if field in PATHS:
        return lambda text: _path_of(_bare(text)), _is_path
    if field in NUMBERS:
        return lambda text: _narrow(text).lstrip("0") or "0", lambda text: text.isdecimal()
    if field in ADDRESSES:
        return (
            lambda text: re.sub(r"^\[(.*)\]$", r"\1", _narrow(text)),
            _is_address if field == "lanIp" else _is_host,
        )
    if field in KEYS:
        return lambda text: _value_of(_narrow(text)), lambda text: bool(VISIBLE.fullmatch(text))
    if field in URL_FIELDS:
        return lambda text: _value_of(_narrow(text)), _is_url
    if field in NAMES:
        return lambda text: _narrow(text) or text, lambda text: bool(NO_CONTROL.fullmatch(text))
    patterns = {
        "containerName": r"[A-Za-z0-9][A-Za-z0-9_.-]+",
        "imageTag": r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}",
    }
    pattern = patterns.get(field, "")
    return _narrow, lambda text: bool(re.fullmatch(pattern, text))


def as_meant(field: str, typed: Any) -> Any:
    """What a person means by text that was typed or pasted into that field."""
    if field == "codeServerPassword":
        return typed.removeprefix("\ufeff").rstrip("\r\n")
    typed_in = (*PATHS, *NUMBERS, *ADDRESSES, *KEYS, *URL_FIELDS, *NAMES)
    if field not in (*typed_in, "containerName", "imageTag"):
        return typed
    read, takes = _reading(field)
    text = trimmed(typed)
    meaning = read(text)
    return meaning if takes(meaning) else text


def escaped(value: Any) -> Any:
    """As Compose writes a value that is not a variable: `$` doubled."""
    if isinstance(value, str):
        return value.replace("$", "$$")
    if isinstance(value, dict):
        return {key: escaped(inner) for key, inner in value.items()}
    return [escaped(inner) for inner in value] if isinstance(value, list) else value


def expected(options: dict[str, Any]) -> dict[str, Any]:
    """The whole document, keys in the order of the file."""
    chosen = {**DEFAULTS, **{name: as_meant(name, typed) for name, typed in options.items()}}
    is_full = chosen["profile"] == "full-custom"
    if not is_full:
        chosen = {**DEFAULTS, **{name: chosen[name] for name in QUICK}}
    service: dict[str, Any] = {
        "image": IMAGES[chosen["source"]] + chosen["imageTag"],
        "container_name": chosen["containerName"],
        "environment": _environment(chosen, is_full),
    }
    ports = [] if chosen["https"] else [f"{chosen['httpPort']}:45000"]
    if is_full and chosen["codeServer"] and chosen["codeServerPublish"]:
        ports.append(f"127.0.0.1:{chosen['codeServerPublishedPort']}:{chosen['codeServerPort']}")
    if ports:
        service["ports"] = ports
    mounts, volumes = _volumes(chosen)
    service["volumes"] = mounts
    service["networks"] = ["pcode-network"]
    service["restart"] = "unless-stopped"
    services = {"hagicode": service}
    if chosen["https"]:
        services["https-proxy"] = _proxy(chosen)
        volumes += ["caddy_data", "caddy_config"]
    document = {
        "services": services,
        "volumes": dict.fromkeys(volumes),
        "networks": {"pcode-network": {"driver": "bridge"}},
    }
    return {name: escaped(part) for name, part in document.items()}


def _environment(chosen: dict[str, Any], is_full: bool) -> dict[str, Any]:
    executors = chosen["executors"]
    env: dict[str, Any] = {
        "ASPNETCORE_ENVIRONMENT": "Production",
        "ASPNETCORE_URLS": "http://+:45000",
        "TZ": "Asia/Shanghai",
        "Database__Provider": "sqlite",
        "ConnectionStrings__Default": "Data Source=/app/data/hagicode.db",
        "License__Activation__LicenseKey": chosen["licenseKey"]
        if chosen["licenseKeyType"] == "custom"
        else PUBLIC_KEY,
    }
    if chosen["acceptEula"]:
        env["ACCEPT_EULA"] = "Y"
    if chosen["hostOS"] == "linux" and not chosen["workdirCreatedByRoot"]:
        env |= {"PUID": int(chosen["puid"]), "PGID": int(chosen["pgid"])}
    if "codex" in executors:
        env["CODEX_API_KEY"] = chosen["codexKey"]
        if chosen["codexUrl"]:
            env["CODEX_BASE_URL"] = chosen["codexUrl"]
    if "opencode" in executors:
        env |= {
            "AI__Providers__Providers__OpenCodeCli__Enabled": "true",
            "AI__Providers__Providers__OpenCodeCli__Type": "OpenCodeCli",
            "AI__Providers__Providers__OpenCodeCli__ExecutablePath": "opencode",
            "AI__OpenCode__Enabled": "true",
            "AI__OpenCode__ExecutablePath": "opencode",
            "AI__OpenCode__Model": chosen["openCodeModel"],
        }
    if "claude" in executors and chosen["claudeToken"]:
        env["ANTHROPIC_AUTH_TOKEN"] = chosen["claudeToken"]
        provider = chosen["claudeProvider"]
        if provider != "anthropic":
            env["ANTHROPIC_URL"] = URLS.get(provider, chosen["claudeUrl"])
    if is_full:
        env |= _full_environment(chosen)
    return env


def _full_environment(chosen: dict[str, Any]) -> dict[str, Any]:
    if chosen["codeServer"]:
        env = {
            "VsCodeServer__DefaultActiveImplementation": "code-server",
            "VsCodeServer__CodeServerDefaultHost": chosen["codeServerHost"],
            "VsCodeServer__CodeServerDefaultPort": chosen["codeServerPort"],
            "VsCodeServer__CodeServerExecutablePath": "code-server",
            "VsCodeServer__CodeServerAuthMode": chosen["codeServerAuth"],
        }
        if chosen["codeServerAuth"] == "password":
            env["CODE_SERVER_PASSWORD"] = chosen["codeServerPassword"]
    else:
        env = {"VsCodeServer__DefaultActiveImplementation": "code-serve-web"}
    if "claude" in chosen["executors"]:
        for name in ("Sonnet", "Opus", "Haiku"):
            if model := chosen[f"claude{name}Model"]:
                env[f"ANTHROPIC_{name.upper()}_MODEL"] = model
        if chosen["claudeAgentTeams"]:
            env["CLAUDE_CODE_EXPERIMENTAL_AGENT_TEAMS"] = "1"
    return env


def _volumes(chosen: dict[str, Any]) -> tuple[list[Any], list[str]]:
    fallback = "C:\\repos" if chosen["hostOS"] == "windows" else "/home/user/repos"
    mounts: list[Any] = [
        f"{chosen['workdirPath'] or fallback}:/app/workdir",
        "hagicode_data:/app/data",
        "hagicode_saves:/app/saves",
    ]
    volumes = ["hagicode_data", "hagicode_saves"]
    named = {
        "claude": {"claude-data": "/home/hagicode/.claude"},
        "codex": {"codex-data": "/home/hagicode/.codex"},
        "opencode": {
            "opencode-config-data": "/home/hagicode/.config/opencode",
            "opencode-auth-data": "/home/hagicode/.local/share/opencode",
            "opencode-models-data": "/home/hagicode/.cache/opencode",
        },
    }
    for executor, its in named.items():
        if executor not in chosen["executors"]:
            continue
        if executor == "opencode" and chosen["openCodeConfigFile"]:
            target = "/home/hagicode/.config/opencode/opencode.json"
            mounts.append(f"{chosen['openCodeConfigFile']}:{target}")
            continue
        mounts += [f"{name}:{path}" for name, path in its.items()]
        volumes += its
    return mounts, volumes


def _proxy(chosen: dict[str, Any]) -> dict[str, Any]:
    return {
        "image": "caddy:2-alpine",
        "ports": [
            f"{chosen['httpsPort']}:443",
            *(["80:80"] if chosen["httpsPort"] == "443" else []),
        ],
        "volumes": [
            "./Caddyfile:/etc/caddy/Caddyfile:ro",
            "caddy_data:/data",
            "caddy_config:/config",
        ],
        "depends_on": ["hagicode"],
        "healthcheck": {
            "test": ["CMD", "wget", "-q", "--spider", "http://127.0.0.1:2019/config/"],
            "interval": "30s",
            "timeout": "10s",
            "retries": 3,
        },
        "logging": {"driver": "json-file", "options": {"max-size": "10m", "max-file": "3"}},
        "networks": ["pcode-network"],
        "restart": "unless-stopped",
    }
