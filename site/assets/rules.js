/**
 * What a person's choices have to satisfy before a file may be copied or downloaded.
 */

import { holds, isBlank, isPort, kindOf } from "./typed.js";

const samePort = (one, other) => isPort(one) && isPort(other) && Number(one) === Number(other);

const isReference = (tag) => /[/:@]|^docker\s/.test(tag);

/**
 * The rules that `options` break, in the order of the form.
 *
 * @param {object} options every option, hidden ones at their defaults, read as they are meant
 * @param {{executors: object[], service: object}} facts
 * @returns {{field: string, rule: string}[]}
 */
export function broken(options, facts) {
  const errors = [];
  const check = (field, rule, isKept) => {
    if (!isKept) errors.push({ field, rule });
  };
  const takes = (field) => check(field, kindOf(field), holds(field, options[field]));
  const optional = (field) => {
    if (!isBlank(options[field])) takes(field);
  };
  const required = (field) => {
    if (isBlank(options[field])) check(field, "required", false);
    else takes(field);
  };
  const uses = (executor) => options.executors.includes(executor);

  takes("httpPort");
  required("workdirPath");
  check("executors", "executor", facts.executors.some(({ id }) => uses(id)));
  if (uses("claude")) {
    required("claudeToken");
    if (options.claudeProvider === "custom") required("claudeUrl");
    for (const size of ["Sonnet", "Opus", "Haiku"]) optional(`claude${size}Model`);
  }
  if (uses("codex")) {
    required("codexKey");
    optional("codexUrl");
  }
  if (uses("opencode")) {
    optional("openCodeModel");
    for (const file of ["Config", "Auth", "Models"]) optional(`openCode${file}File`);
  }
  required("containerName");
  if (isReference(options.imageTag)) check("imageTag", "tagOnly", false);
  else required("imageTag");
  if (options.hostOS === "linux" && !options.workdirCreatedByRoot) {
    takes("puid");
    takes("pgid");
  }
  if (options.licenseKeyType === "custom") required("licenseKey");
  if (options.codeServer) codeServer(options, facts, check, { takes, required });
  if (options.https) {
    takes("httpsPort");
    check("httpsPort", "differsFromHttp", !samePort(options.httpsPort, options.httpPort));
    takes("lanIp");
  }
  return errors;
}

function codeServer(options, facts, check, { takes, required }) {
  required("codeServerHost");
  takes("codeServerPort");
  check(
    "codeServerPort",
    "servicePort",
    !samePort(options.codeServerPort, String(facts.service.port)),
  );
  if (options.codeServerAuth === "password") {
    check("codeServerPassword", "required", !isBlank(options.codeServerPassword));
  }
  if (!options.codeServerPublish) return;
  check("codeServerHost", "everyAddress", ["0.0.0.0", "::"].includes(options.codeServerHost));
  const published = options.codeServerPublishedPort;
  takes("codeServerPublishedPort");
  check("codeServerPublishedPort", "differsFromHttp", !samePort(published, options.httpPort));
  if (!options.https) return;
  check("codeServerPublishedPort", "differsFromHttps", !samePort(published, options.httpsPort));
  // At port 443 Caddy publishes 80 as well, to redirect.
  const redirects = samePort(options.httpsPort, "443");
  check("codeServerPublishedPort", "differsFromRedirect", !redirects || !samePort(published, "80"));
}
