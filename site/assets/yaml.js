/**
 * Scalars of YAML 1.2, for values that a person typed.
 */

// What a double-quoted scalar may not hold as it is: controls, byte order mark, line and paragraph
// separators, noncharacters and halves of surrogate pairs (YAML 1.2.2, section 5.1). With the flag u
// a whole pair is one character and does not match.
const UNPRINTABLE = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\ufeff\ufffe\uffff\ud800-\udfff]/gu;

const SHORT = { "\n": "\\n", "\r": "\\r", "\t": "\\t" };

/**
 * A double-quoted scalar that reads back as exactly `text`, on one line (section 7.3.1).
 *
 * @param {string} text
 * @returns {string}
 */
export function quoted(text) {
  const escaped = text
    .replaceAll("\\", "\\\\")
    .replaceAll('"', '\\"')
    .replace(
      UNPRINTABLE,
      (unit) => SHORT[unit] ?? `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`,
    );
  return `"${escaped}"`;
}

/**
 * A quoted scalar that Docker Compose hands on as `text`: Compose would replace `$NAME` and
 * `${NAME}` by the caller's environment; a doubled `$` stays a dollar sign (Compose specification,
 * "Interpolation").
 *
 * @param {string} text
 * @returns {string}
 */
export function value(text) {
  return quoted(text.replaceAll("$", "$$$$"));
}
