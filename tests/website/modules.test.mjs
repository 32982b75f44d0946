// Unit tests of the builder's small modules: run by `node --test` (and by test_generator.py).
import assert from "node:assert/strict";
import { test } from "node:test";

const assets = new URL("../../site/assets/", import.meta.url);
const { quoted, value } = await import(new URL("yaml.js", assets));
const { isIPv6, meant } = await import(new URL("typed.js", assets));
const { inChina } = await import(new URL("place.js", assets));

test("a quoted scalar escapes what YAML would read", () => {
  assert.equal(quoted('a"b\\c'), '"a\\"b\\\\c"');
  assert.equal(quoted("a\nb\tc\rd"), '"a\\nb\\tc\\rd"');
  assert.equal(quoted("\u0000\u2028\ufeff"), '"\\u0000\\u2028\\ufeff"');
  assert.equal(quoted("𠮷"), '"𠮷"');
  assert.equal(quoted("\ud842"), '"\\ud842"');
});

test("a value keeps its dollars from Compose", () => {
  assert.equal(value("${A} $B $$"), '"$${A} $$B $$$$"');
});

test("IPv6 addresses are distinguished from what looks like them", () => {
  for (const good of ["::1", "fd00::7", "2001:db8::1:2", "::ffff:192.0.2.1"]) {
    assert.ok(isIPv6(good), good);
  }
  for (const bad of ["", "1", "fe80::1%eth0", "[::1]", ":::", "12345::", "1:2:3:4:5:6:7:8:9", "a.b"]) {
    assert.ok(!isIPv6(bad), bad);
  }
});

test("the time zone says where a reader is, the language only where it tells nothing", () => {
  assert.ok(inChina("Asia/Shanghai", ["en-US"]));
  assert.ok(inChina("Asia/Urumqi", ["en"]));
  assert.ok(!inChina("Europe/Paris", ["zh-CN"]));
  assert.ok(!inChina("Asia/Hong_Kong", ["zh-HK"]));
  assert.ok(inChina("UTC", ["zh-CN", "en"]));
  assert.ok(inChina("Etc/UTC", ["zh-Hans-CN"]));
  assert.ok(!inChina("UTC", ["en-US", "zh-CN"]));
  assert.ok(!inChina("UTC", ["zh-TW"]));
  assert.ok(!inChina("", []));
});
