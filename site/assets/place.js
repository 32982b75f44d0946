/** Where the reader probably is, from what the browser says anyway; nothing is asked or sent. */

const CHINA = new Set([
  "Asia/Shanghai", "Asia/Urumqi", "Asia/Chongqing", "Asia/Chungking", "Asia/Harbin",
  "Asia/Kashgar", "PRC",
]);
const NOWHERE = /^(?:UTC|GMT|Etc\/.*|)$/;

/**
 * In mainland China: by the time zone; where that tells nothing (UTC), by the language.
 *
 * @param {string} [zone] IANA name
 * @param {readonly string[]} [languages] BCP 47
 */
export function inChina(
  zone = Intl.DateTimeFormat().resolvedOptions().timeZone ?? "",
  languages = navigator.languages,
) {
  if (!NOWHERE.test(zone)) return CHINA.has(zone);
  return /^zh(?:-(?:CN|Hans(?:-CN)?))?$/i.test(languages[0] ?? "");
}
