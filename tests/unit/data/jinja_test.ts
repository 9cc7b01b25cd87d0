/** Templates of strangers: bounded in work and in what they print, and the same on every day. */
import assert from "node:assert/strict";
import { JinjaTemplate } from "../../../src/data/jinja.ts";
import { assertRefuses } from "../../support/refuses.ts";

/** Templates that would go on, or print, without end, and what is said of them. */
const ENDLESS: [title: string, source: string, ...fragments: string[]][] = [
  ["nested loops", loops("{{ a }}"), "more than 1000000 operations"],
  ["nested empty loops", loops(""), "more than 1000000 operations"],
  ["a long range", "{% for i in range(1000000000) %}{% endfor %}", "a range of more than 100000"],
  ["a range without end", "{{ range(0, 1, 0) | length }}", "a range of more than 100000"],
  ["a doubled text", double("ns.a + ns.a"), "a text or list of more than"],
  ["a joined text", double("ns.a ~ ns.a"), "a text or list of more than"],
  ["a doubled list", double("ns.a + ns.a", "[1]"), "a text or list of more than"],
  ["a list of itself", double("[ns.a, ns.a]", "[1]"), "a text or list of more than"],
  ["an object of itself", double("{'b': ns.a, 'c': ns.a}", "{}"), "a text or list of more than"],
  [
    "namespaces of namespaces",
    "{% set ns = namespace(a=1) %}{% set ns.a = namespace(b=ns) %}{{ ns.a | tojson }}",
    "a namespace in a namespace",
  ],
  ["an indentation", "{{ 'a\nb' | indent(500000000) }}", "a text or list of more than"],
  ["a named indentation", "{{ 'a\nb' | indent(width=500000000) }}", "a text or list of more than"],
  ["JSON's indentation", "{{ [[1]] | tojson(indent=500000000) }}", "a text or list of more than"],
  [
    "an indented block",
    "{% filter indent(500000000) %}a\nb{% endfilter %}",
    "a text or list of more than",
  ],
  [
    "replaced letters",
    `${double("ns.a + ns.a", "'aa'", 17)}{{ ns.a.replace('a', ns.a) }}`,
    "a text or list of more than",
  ],
  [
    "filtered letters",
    `${double("ns.a + ns.a", "'aa'", 17)}{{ ns.a | replace('a', ns.a) }}`,
    "a text or list of more than",
  ],
  [
    "a joined list",
    `${double("ns.a + ns.a", "'aa'", 16)}{{ range(50000) | join(ns.a) }}`,
    "a text or list of more than",
  ],
  [
    "searching a list",
    "{% set r = range(100000) %}{% for i in r %}{% if -1 in r %}{% endif %}{% endfor %}",
    "more than 1000000 operations",
  ],
  [
    "filtering a list",
    "{% set r = range(100000) %}{% for i in r %}{% set x = r | sort | first %}{% endfor %}",
    "more than 1000000 operations",
  ],
  ["recursion", "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "more than 500 levels"],
  [
    "forked recursion",
    "{% macro f(n) %}{% if n %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(40) }}",
    "more than 1000000 operations",
  ],
];

function loops(body: string): string {
  const names = ["a", "b", "c", "d"];
  return names.map((name) => `{% for ${name} in range(1000) %}`).join("") + body +
    names.map(() => "{% endfor %}").join("");
}

function double(expression: string, first = "'x'", times = 60): string {
  return `{% set ns = namespace(a=${first}) %}{% for i in range(${times}) %}` +
    `{% set ns.a = ${expression} %}{% endfor %}`;
}

for (const [title, source, ...fragments] of ENDLESS) {
  Deno.test(`a template ends in spite of ${title}`, () => {
    const template = new JinjaTemplate(source);
    assertRefuses(
      () => template.render({ messages: [] }),
      "data",
      "The chat template",
      ...fragments,
    );
  });
}

Deno.test("templates that are too long or nest without end are refused", () => {
  const long = "a".repeat(256 * 1024 + 1);
  assertRefuses(
    () => new JinjaTemplate(long, "t.jinja"),
    "data",
    "t.jinja has 262145 characters; expected at most 262144",
  );
  const deep = `{{ ${"(".repeat(50_000)}1 }}`;
  assertRefuses(() => new JinjaTemplate(deep), "data", "too deeply");
});

Deno.test("long conversations are within bounds", () => {
  const source =
    "{% for m in messages %}{% if loop.index0 == (messages | length) - 1 %}!{% endif %}" +
    "{{ '<|im_start|>' + m.role + '\n' + (m.content | trim | replace('a', 'bb')) + '<|im_end|>\n' }}" +
    "{% endfor %}";
  const short = Array.from({ length: 5000 }, () => ({ role: "user", content: "a" }));
  assert.equal(new JinjaTemplate(source).render({ messages: short }).length, 5000 * 30 + 1);
  const long = [{ role: "user", content: "a".repeat(8_000_000) }];
  assert.equal(new JinjaTemplate(source).render({ messages: long }).length, 16_000_029);
});

Deno.test("the date is the same on every day", () => {
  const template = new JinjaTemplate("{{ strftime_now('%d %b %Y, %A, %H:%M %q%%') }}");
  assert.equal(template.render({}), "26 Jul 2024, Friday, 00:00 %q%");
});

Deno.test("range is Python's", () => {
  const shown = (call: string) => new JinjaTemplate(`{{ ${call} | join(',') }}`).render({});
  assert.equal(shown("range(3)"), "0,1,2");
  assert.equal(shown("range(1, 4)"), "1,2,3");
  assert.equal(shown("range(5, 0, -2)"), "5,3,1");
  assert.equal(shown("range(2, 1)"), "");
});

Deno.test("values that nest too deeply are refused, not a fault", () => {
  let deep: unknown = [];
  for (let level = 0; level < 100_000; level++) deep = [deep];
  assertRefuses(() => new JinjaTemplate("{{ 1 }}").render({ deep }), "data", "too deeply");
});
