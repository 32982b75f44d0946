/**
 * A compose file with another mirror source and every other character as it was: comments, order,
 * quotes, indentation and line ends. Pure: no page, no network.
 *
 * The file is not parsed and written again. The scanner below follows YAML 1.2 as far as it takes to
 * tell values of `image:` from comments, strings and blocks of text that only look like them.
 */

const INDENTED = /^ */;
const PROPERTIES = /^(?:[&!][^\s,[\]{}]*\s+)+/;
const BLOCK_SCALAR = /^[|>][-+0-9]*\s*(?:#.*)?$/;
const KEY =
  /^(?:[&!]\S+ +)*("(?:[^"\\]|\\.)*"|'(?:[^']|'')*'|[^\s#"'{}[\],*|>%@`&!](?:[^\s#]|(?<=\S)#|[ \t](?!#))*?)[ \t]*:(?=[ \t\r]|$)/;
// An entry of a list; `? key` and `: value` are read over, since nobody writes `image` so.
const ENTRY = /^[-?:](?:[ \t]+|$)/;
// Below these an `image` is data of the person's own.
const DATA = new Set(["environment", "labels", "annotations", "args", "command", "entrypoint"]);

/**
 * @param {string} text a compose file, or a part of one
 * @param {{id: string, image: string}[]} sources images with `{tag}`
 * @param {string} wanted id of the source to use
 * @returns {{text: string, changes: {line: number, before: string, after: string}[],
 *   kept: number[], pinned: number[]}} `kept`: lines that are at that source already; `pinned`:
 *   changed lines with a digest, which another source may not have
 */
export function switched(text, sources, wanted) {
  const repositories = sources.map(({ id, image }) => ({ id, name: image.replace(":{tag}", "") }));
  const target = repositories.find(({ id }) => id === wanted);
  const result = { text: "", changes: [], kept: [], pinned: [] };
  let done = 0;
  for (const { start, end } of imageValues(text)) {
    const found = repositoryIn(text.slice(start, end), repositories);
    if (found === null) continue;
    const line = text.slice(0, start + found.at).split(/\r\n?|\n/).length;
    if (found.id === wanted && found.isPlain) {
      result.kept.push(line);
      continue;
    }
    const from = start + found.at;
    result.text += text.slice(done, from) + target.name;
    done = from + found.name.length;
    result.changes.push({ line, before: found.name, after: target.name });
    if (text.slice(done, end).includes("@sha256:")) result.pinned.push(line);
  }
  result.text += text.slice(done);
  return result;
}

const escaped = (text) => text.replace(/[.*+?^${}()|[\]\\/]/g, "\\$&");

/**
 * The repository in a value: `repository:tag`, or behind `${NAME:-`, with or without Docker Hub's
 * names or an accelerator's in front of the original's.
 */
function repositoryIn(value, repositories) {
  for (const { id, name } of repositories) {
    const isHub = !/^[^/]*[.:]/.test(name);
    const host = isHub ? "((?:[a-z0-9-]+(?:\\.[a-z0-9-]+)+(?::\\d+)?/)*)" : "()";
    const pattern = `^(\\s*(?:\\$\\{\\w+:?-)*)${host}${escaped(name)}(?=[:@}\\s]|$)`;
    const match = new RegExp(pattern, "i").exec(value);
    if (match === null) continue;
    const [whole, before, prefix] = match;
    const isPlain = prefix === "" || /^(?:index\.|registry-1\.)?docker\.io\/$/i.test(prefix);
    return { id, at: before.length, name: whole.slice(before.length), isPlain };
  }
  return null;
}

/** Where the values of `image` keys are, in the order of the text: start and end offsets. */
function imageValues(text) {
  const scan = new Scanner(text);
  scan.run();
  const isWhole = scan.keys.has("services");
  const spans = new Map();
  for (const value of scan.values) {
    if (!isImage(value.path, isWhole)) continue;
    const alias = /^\*([^\s,[\]{}]+)/.exec(text.slice(value.start, value.end));
    const meant = alias ? scan.anchors.get(alias[1]) : value;
    if (meant) spans.set(meant.start, meant);
  }
  return [...spans.values()].sort((one, other) => one.start - other.start);
}

function isImage(path, isWhole) {
  if (path.at(-1) !== "image" || path.some((key) => DATA.has(key))) return false;
  if (!isWhole || path[0].startsWith("x-")) return true;
  return path[0] === "services" && path.length >= 3 && path.slice(2, -1).every((key) => key === "<<");
}

const bare = (key) => (/^["']/.test(key) ? key.slice(1, -1) : key.trimEnd());

class Scanner {
  constructor(text) {
    this.text = text;
    this.values = []; // {path, start, end}
    this.anchors = new Map(); // name to {start, end}, of scalars
    this.keys = new Set(); // at the top
    this.stack = []; // {indent, key}
  }

  run() {
    let at = this.text.startsWith("\ufeff") ? 1 : 0;
    while (at < this.text.length) at = this.line(at);
  }

  /** Reads the line that begins at `at`, with all that belongs to its value; gives the next one. */
  line(at) {
    const end = this.endOfLine(at);
    const content = this.text.slice(at, end);
    let indent = INDENTED.exec(content)[0].length;
    let rest = content.slice(indent);
    if (/^\s*(?:#|$)/.test(rest)) return this.after(end);
    if (/^(?:---|\.\.\.)(?:\s|$)/.test(content)) {
      this.stack = [];
      return this.after(end);
    }
    let parent = indent;
    let entry = ENTRY.exec(rest);
    while (entry) {
      parent = indent;
      indent += entry[0].length;
      rest = rest.slice(entry[0].length);
      entry = ENTRY.exec(rest);
    }
    const key = KEY.exec(rest);
    while (this.stack.length > 0 && this.stack.at(-1).indent >= indent) this.stack.pop();
    if (key === null) {
      // A list's entry, or the value of the key above.
      return this.value(at + indent, end, parent, this.path());
    }
    this.stack.push({ indent, key: bare(key[1]) });
    if (this.stack.length === 1) this.keys.add(this.stack[0].key);
    return this.value(at + indent + key[0].length, end, indent, this.path());
  }

  path() {
    return this.stack.map(({ key }) => key);
  }

  /** Reads a value that begins at or after `at`, on the line that ends at `end`. */
  value(at, end, indent, path) {
    let rest = this.text.slice(at, end);
    at += rest.length - rest.trimStart().length;
    rest = rest.trimStart();
    const properties = PROPERTIES.exec(`${rest} `);
    const anchor = /&([^\s,[\]{}]+)/.exec(properties?.[0] ?? "")?.[1];
    if (properties) {
      at += Math.min(properties[0].length, rest.length);
      rest = this.text.slice(at, end);
    }
    if (rest === "" || rest.startsWith("#")) return this.after(end);
    if (BLOCK_SCALAR.test(rest)) return this.block(end, indent, path, anchor);
    if (rest[0] === "{" || rest[0] === "[") return this.after(this.endOfLine(this.flow(at, path)));
    const stop = /^["']/.test(rest) ? this.closing(at) : at + plainLength(rest);
    const isQuoted = /^["']/.test(rest);
    this.note(path, isQuoted ? at + 1 : at, isQuoted ? stop - 1 : stop, anchor);
    return this.after(this.endOfLine(stop));
  }

  note(path, start, end, anchor) {
    this.values.push({ path, start, end });
    if (anchor) this.anchors.set(anchor, { start, end });
  }

  /** A block of text goes on while lines are indented further than its key. */
  block(end, indent, path, anchor) {
    const start = this.after(end);
    let at = start;
    while (at < this.text.length) {
      const content = this.text.slice(at, this.endOfLine(at));
      if (content.trim() !== "" && INDENTED.exec(content)[0].length <= indent) break;
      at = this.after(this.endOfLine(at));
    }
    this.note(path, start, at, anchor);
    return at;
  }

  /** Reads a flow mapping or sequence from its bracket; gives the offset behind it. */
  flow(at, path) {
    const isMapping = this.text[at] === "{";
    let key = null;
    at += 1;
    while (at < this.text.length) {
      const character = this.text[at];
      if (character === "}" || character === "]") return at + 1;
      const here = key === null ? path : [...path, key];
      if (character === "{" || character === "[") {
        at = this.flow(at, here);
      } else if (character === ",") {
        key = null;
        at += 1;
      } else if (character === "#" && /\s/.test(this.text[at - 1])) {
        at = this.endOfLine(at);
      } else if (/\s/.test(character) || character === ":") {
        at += 1;
      } else {
        const isKey = isMapping && key === null;
        const scalar = this.flowScalar(at);
        if (isKey) key = this.text.slice(scalar.start, scalar.end);
        else this.note(here, scalar.start, scalar.end, scalar.anchor);
        at = scalar.next;
      }
    }
    return at;
  }

  /** A scalar between the brackets of a flow collection; `next` is the offset behind it. */
  flowScalar(at) {
    const properties = PROPERTIES.exec(this.text.slice(at));
    const anchor = /&([^\s,[\]{}]+)/.exec(properties?.[0] ?? "")?.[1];
    at += properties?.[0].length ?? 0;
    if (/["']/.test(this.text[at])) {
      const next = this.closing(at);
      return { start: at + 1, end: next - 1, next, anchor };
    }
    const plain = /^(?:[^\s,[\]{}:]|:(?=[^\s,[\]{}])|[ \t]+(?=[^\s,[\]{}:#]))+/.exec(this.text.slice(at));
    const next = at + (plain?.[0].length ?? 0);
    return { start: at, end: next, next: Math.max(next, at + (plain || properties ? 0 : 1)), anchor };
  }

  /** The offset behind the quoted scalar that begins at `at`. */
  closing(at) {
    const pattern = this.text[at] === '"' ? /"(?:[^"\\]|\\[\s\S])*"/y : /'(?:[^']|'')*'/y;
    pattern.lastIndex = at;
    return pattern.test(this.text) ? pattern.lastIndex : this.text.length;
  }

  endOfLine(at) {
    const pattern = /\r\n?|\n|$/g;
    pattern.lastIndex = at;
    return pattern.exec(this.text).index;
  }

  after(end) {
    return this.text.startsWith("\r\n", end) ? end + 2 : end + 1;
  }
}

/** A plain scalar ends before ` #` and before blanks at the end of its line. */
function plainLength(rest) {
  const comment = /\s#/.exec(rest);
  return (comment ? rest.slice(0, comment.index) : rest).trimEnd().length;
}
