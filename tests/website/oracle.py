"""What a compose file for some choices must contain, derived from the facts by hand.

Written from the facts of the compose builder, not from the generator: names, values and order are
spelled out here a second time.
"""

from __future__ import annotations

from typing import Any

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


def escaped(value: Any) -> Any:
    """As Compose writes a value that is not a variable: `$` doubled."""
    if isinstance(value, str):
        return value.replace("$", "$$")
    if isinstance(value, dict):
        return {key: escaped(inner) for key, inner in value.items()}
    return [escaped(inner) for inner in value] if isinstance(value, list) else value


def expected(options: dict[str, Any]) -> dict[str, Any]:
    """The whole document, keys in the order of the file."""
    chosen = {**DEFAULTS, **options}
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
