/** A configuration as part of an address, after the `#`, which browsers do not send. */

// Keys and passwords; addresses that keys are sent to, which nobody should take over unseen; and
// consent, which nobody can give for another person.
const KEPT_BACK = new Set([
  "claudeToken",
  "claudeUrl",
  "codexKey",
  "codexUrl",
  "licenseKey",
  "codeServerPassword",
  "acceptEula",
]);
const IN_QUERY = new Set(["source", "profile"]);
const LONGEST = 300; // characters of a value

const isShared = (field) => !KEPT_BACK.has(field) && !IN_QUERY.has(field);

/**
 * The options that differ from the defaults, as `name=value&…`; empty when none does.
 *
 * @param {object} chosen every option, hidden ones at their defaults
 * @param {object} facts
 * @returns {string}
 */
export function shared(chosen, facts) {
  const fields = facts.profiles[chosen.profile].filter(isShared);
  const changed = fields.filter((field) => String(chosen[field]) !== String(facts.defaults[field]));
  return new URLSearchParams(changed.map((field) => [field, String(chosen[field])])).toString();
}

/**
 * The options in such a text. Unknown names, values of another type and what is never shared are
 * left out.
 *
 * @param {string} text
 * @param {object} facts
 * @returns {object}
 */
export function received(text, facts) {
  const options = {};
  for (const [field, value] of new URLSearchParams(text)) {
    if (!facts.profiles["full-custom"].includes(field) || !isShared(field)) continue;
    if (value.length > LONGEST) continue;
    const usual = facts.defaults[field];
    if (Array.isArray(usual)) options[field] = value.split(",").filter((part) => part !== "");
    else if (typeof usual !== "boolean") options[field] = value;
    else if (value === "true" || value === "false") options[field] = value === "true";
  }
  return options;
}
