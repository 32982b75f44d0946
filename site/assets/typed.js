/**
 * What a person typed or pasted into a field, read as it is meant, and whether the field can take it.
 *
 * A pasted value brings blanks, line ends, a byte order mark, invisible characters, quotes around
 * it, or the full-width characters of a Chinese keyboard. Where leaving those out or narrowing them
 * gives a value that the field can take, that value counts. Where it does not, the value stays as
 * it was typed but for its ends, and a rule of rules.js says what is wrong.
 */

// White space, controls and what no font draws: soft hyphen, zero-width and bidirectional marks,
// word joiners, byte order mark.
const EDGE = String.raw`[\s\u0000-\u001f\u007f-\u009f\u00ad\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff]+`;
const EDGES = new RegExp(`^${EDGE}|${EDGE}$`, "gu");
const INVISIBLE = /[\u00ad\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff]/gu;
const CONTROL = /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/u;
const ASCII = /^[\x20-\x7e]*$/;
const QUOTED = /^(?:"(.*)"|'(.*)'|`(.*)`|“(.*)”|‘(.*)’|「(.*)」|『(.*)』|«(.*)»|<(.*)>)[,;]?$/su;

const IPV4 = /^(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(?:\.(?!$)|$)){4}$/;
const LABEL = "[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?";
const HOST_NAME = new RegExp(`^${LABEL}(?:\\.${LABEL})*$`);

/** Without white space, controls and invisible characters at both ends. */
export const trimmed = (text) => text.replace(EDGES, "");

export const isBlank = (text) => trimmed(text) === "";

/** A port that can be published, 1 to 65535, in at most five digits. */
export const isPort = (text) =>
  /^[0-9]{1,5}$/.test(text) && Number(text) >= 1 && Number(text) <= 65535;

const isNumber = (text) => /^[0-9]{1,10}$/.test(text);

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

const isAddress = (text) => IPV4.test(text) || isIPv6(text);

const isHost = (text) => isAddress(text) || (HOST_NAME.test(text) && !/^[0-9.]+$/.test(text));

function isUrl(text) {
  if (!/^https?:\/\/[^/?#\s][^\s"<>\\^`{|}]*$/i.test(text) || !ASCII.test(text)) return false;
  try {
    return new URL(text).hostname !== "";
  } catch {
    return false;
  }
}

// Docker's own: names in daemon/names/names.go, tags in distribution's reference grammar.
const isContainerName = (text) => /^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/.test(text);
const isTag = (text) => /^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$/.test(text);

// Keys travel in a header of HTTP.
const isKey = (text) => /^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/.test(text);

const isLine = (text) => text !== "" && !CONTROL.test(text);

const isHostPath = (text) =>
  isLine(text) && !/^[a-z][a-z0-9+.-]*:\/\//i.test(text) && !/^(?:%[^%]+%|\$)/.test(text);

const isJsonFile = (text) =>
  isLine(text) && /^(?:\/|[A-Za-z]:[\\/])/.test(text) && text.endsWith(".json");

/** Full-width forms and typographic dashes as ASCII has them, without invisible characters. */
const narrow = (text) =>
  text
    .replace(INVISIBLE, "")
    .replace(/[\uff01-\uff5e]/g, (wide) => String.fromCharCode(wide.charCodeAt(0) - 0xfee0))
    .replace(/[\u3002\uff61]/g, ".")
    .replace(/[\u2010-\u2015\u2212]/g, "-")
    .replace(/[\u00a0\u2000-\u200a\u202f\u3000]/g, " ");

/** Without one pair of quotes around it, as in `"…"`, `“…”`, `<…>`. */
function unquoted(text) {
  const found = QUOTED.exec(text);
  return found ? trimmed(found.slice(1).find((inner) => inner !== undefined)) : text;
}

/** As ASCII; text that has none stays as it is: a full-width bracket may belong to a name. */
function ascii(text) {
  const bare = unquoted(trimmed(narrow(unquoted(text))));
  return ASCII.test(bare) ? bare : text;
}

const digits = (text) => ascii(text).replace(/^0+(?=[0-9])/, "");

const unbracketed = (text) => ascii(text).replace(/^\[(.*)\]$/, "$1");

/** The value of a pasted `NAME=value`, `export NAME="value"`, `NAME: value` or `Bearer value`. */
function assigned(text) {
  const bare = ascii(text);
  const value = bare.replace(/^(?:export +|set +)?[A-Z]+(?:_[A-Z]+)+(?:=|: *)(?=[^=\s])/, "");
  return unquoted(trimmed(value.replace(/^(?:Authorization: *)?Bearer +/i, "")));
}

/** A path of the host; inside it every character may be a name's own. */
function path(text) {
  const bare = unquoted(text);
  const isWide = /^(?:[／＼]|～[/／＼]|[A-Za-zＡ-Ｚａ-ｚ][:：][／＼]|[A-Za-zＡ-Ｚａ-ｚ]：[\\/])/u.test(bare);
  const narrowed = isWide ? narrowPath(bare) : bare;
  return narrowed.replace(/^(?:\$HOME|\$\{HOME\})(?=\/|$)/, "~");
}

const narrowPath = (text) =>
  text
    .replace(/^[Ａ-Ｚａ-ｚ～]/u, narrow)
    .replace(/^([A-Za-z])：/u, "$1:")
    .replaceAll("／", "/")
    .replaceAll("＼", "\\");

const KINDS = {
  port: { read: digits, holds: isPort },
  number: { read: digits, holds: isNumber },
  address: { read: unbracketed, holds: isAddress },
  host: { read: unbracketed, holds: isHost },
  containerName: { read: ascii, holds: isContainerName },
  tag: { read: ascii, holds: isTag },
  key: { read: assigned, holds: isKey },
  url: { read: assigned, holds: isUrl },
  line: { read: ascii, holds: isLine },
  hostPath: { read: path, holds: isHostPath },
  jsonFile: { read: path, holds: isJsonFile },
};

const FIELDS = {
  httpPort: "port",
  workdirPath: "hostPath",
  claudeToken: "key",
  claudeUrl: "url",
  claudeSonnetModel: "line",
  claudeOpusModel: "line",
  claudeHaikuModel: "line",
  codexKey: "key",
  codexUrl: "url",
  openCodeModel: "line",
  openCodeConfigFile: "jsonFile",
  openCodeAuthFile: "jsonFile",
  openCodeModelsFile: "jsonFile",
  containerName: "containerName",
  imageTag: "tag",
  puid: "number",
  pgid: "number",
  licenseKey: "key",
  codeServerHost: "host",
  codeServerPort: "port",
  codeServerPublishedPort: "port",
  httpsPort: "port",
  lanIp: "address",
};

/** The kind of a field that takes text, which is also the name of its rule; else undefined. */
export const kindOf = (field) => FIELDS[field];

/** Whether the field can take `text` as it is. */
export const holds = (field, text) => KINDS[FIELDS[field]].holds(text);

/**
 * What `text` means in that field. A password stays as it is but for line ends after it and a byte
 * order mark before it: blanks and quotes may be part of it.
 *
 * @param {string} field
 * @param {string} text
 * @returns {string}
 */
export function meant(field, text) {
  if (field === "codeServerPassword") return text.replace(/^\ufeff|[\r\n]+$/g, "");
  const kind = KINDS[FIELDS[field]];
  if (kind === undefined) return text;
  const typed = trimmed(text);
  const read = kind.read(typed);
  return kind.holds(read) ? read : typed;
}
