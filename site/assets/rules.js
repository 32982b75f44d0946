/**
 * What a person's choices have to satisfy before a file may be copied or downloaded.
 */

const PORT = /^[0-9]{1,5}$/;
const NUMBER = /^[0-9]{1,10}$/;
const IPV4 = /^(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(?:\.(?!$)|$)){4}$/;

const blank = (text) => text.trim() === "";

const isPort = (text) => PORT.test(text) && Number(text) >= 1 && Number(text) <= 65535;

const samePort = (one, other) => isPort(one) && isPort(other) && Number(one) === Number(other);

/**
 * Whether `text` is an IPv6 address without brackets and zone (RFC 4291).
 *
 * @param {string} text
 */
export function isIPv6(text) {
  if (!text.includes(":") || !/^[0-9a-fA-F:.]+$/.test(text)) return false;
  try {
    return new URL(`http://[${text}]/`).hostname !== "";
  } catch {
    return false;
  }
}

const isJsonFile = (path) => /^(?:\/|[A-Za-z]:[\\/])/.test(path) && path.endsWith(".json");

/**
 * The rules that `options` break, in the order of the form.
 *
 * @param {object} options every option, hidden ones at their defaults
 * @param {{executors: object[], service: object}} facts
 * @returns {{field: string, rule: string}[]}
 */
export function broken(options, facts) {
  const errors = [];
  const check = (field, rule, holds) => {
    if (!holds) errors.push({ field, rule });
  };
  const uses = (executor) => options.executors.includes(executor);

  check("httpPort", "port", isPort(options.httpPort));
  check("workdirPath", "required", !blank(options.workdirPath));
  check("executors", "executor", facts.executors.some(({ id }) => uses(id)));
  if (uses("claude")) {
    check("claudeToken", "required", !blank(options.claudeToken));
    if (options.claudeProvider === "custom") {
      check("claudeUrl", "required", !blank(options.claudeUrl));
    }
  }
  if (uses("codex")) check("codexKey", "required", !blank(options.codexKey));
  check("containerName", "required", !blank(options.containerName));
  check("imageTag", "required", !blank(options.imageTag));
  if (options.hostOS === "linux" && !options.workdirCreatedByRoot) {
    check("puid", "number", NUMBER.test(options.puid));
    check("pgid", "number", NUMBER.test(options.pgid));
  }
  if (options.licenseKeyType === "custom") {
    check("licenseKey", "required", !blank(options.licenseKey));
  }
  if (uses("opencode")) {
    for (const field of ["openCodeConfigFile", "openCodeAuthFile", "openCodeModelsFile"]) {
      check(field, "jsonFile", blank(options[field]) || isJsonFile(options[field]));
    }
  }
  if (options.codeServer) codeServer(options, facts, check);
  if (options.https) {
    check("httpsPort", "port", isPort(options.httpsPort));
    check("httpsPort", "differsFromHttp", !samePort(options.httpsPort, options.httpPort));
    check("lanIp", "address", IPV4.test(options.lanIp) || isIPv6(options.lanIp));
  }
  return errors;
}

function codeServer(options, facts, check) {
  check("codeServerHost", "required", !blank(options.codeServerHost));
  check("codeServerPort", "port", isPort(options.codeServerPort));
  check(
    "codeServerPort",
    "servicePort",
    !samePort(options.codeServerPort, String(facts.service.port)),
  );
  if (options.codeServerAuth === "password") {
    check("codeServerPassword", "required", !blank(options.codeServerPassword));
  }
  if (!options.codeServerPublish) return;
  check("codeServerHost", "everyAddress", ["0.0.0.0", "::"].includes(options.codeServerHost));
  check("codeServerPublishedPort", "port", isPort(options.codeServerPublishedPort));
  check(
    "codeServerPublishedPort",
    "differsFromHttp",
    !samePort(options.codeServerPublishedPort, options.httpPort),
  );
  if (options.https) {
    check(
      "codeServerPublishedPort",
      "differsFromHttps",
      !samePort(options.codeServerPublishedPort, options.httpsPort),
    );
  }
}
