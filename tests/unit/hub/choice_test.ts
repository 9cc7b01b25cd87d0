/** Names of the hub, and which files of a repository they mean. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { downloadData, downloadModel } from "../../../src/hub/hub.ts";
import { globPattern } from "../../../src/hub/glob.ts";
import { chooseData } from "../../../src/hub/data_files.ts";
import type { HubFile } from "../../../src/hub/listing.ts";
import { hubDataOf, hubModelOf } from "../../../src/hub/local_names.ts";
import { chooseModel } from "../../../src/hub/model_files.ts";
import { hubNameText, modelNameForOthers, parseHubName } from "../../../src/hub/name.ts";
import { hubSettings } from "../../../src/hub/settings.ts";
import { localModelPath } from "../../../src/model/local_model.ts";
import { HubServer, noise } from "../../support/hub_server.ts";
import { assertRefuses, assertRejects } from "../../support/refuses.ts";
import { withTempDir } from "../../support/temp_dir.ts";

const filesNamed = (...paths: string[]): HubFile[] =>
  paths.map((path) => ({ path, size: 1, id: null }));

Deno.test("hub names: repository, revision and part, and back", () => {
  const cases: [kind: "model" | "dataset", text: string, parts: string[]][] = [
    ["model", "org/name", ["org/name", "main"]],
    ["model", "org/name@v1.0", ["org/name", "v1.0"]],
    ["model", "hf:gpt2", ["gpt2", "main"]],
    ["model", "a/b-GGUF@refs/pr/3:Q4_K_M", ["a/b-GGUF", "refs/pr/3", "Q4_K_M"]],
    ["dataset", "hf:openai/gsm8k:main/test", ["openai/gsm8k", "main", "main/test"]],
  ];
  for (const [kind, text, expected] of cases) {
    const name = parseHubName(kind, text);
    const { repo, revision, part } = name;
    assert.deepEqual([repo, revision, ...part === undefined ? [] : [part]], expected);
    assert.equal(hubNameText(name), text);
  }
});

Deno.test("hub names: other programs are told of the repository, or of the path", () => {
  const repos = ["org/name", "hf:org/name", "org/name@v1", "hf:org/name@refs/pr/1:Q8_0"];
  for (const name of repos) assert.equal(modelNameForOthers(name), "org/name");
  assert.equal(modelNameForOthers("hf:gpt2"), "gpt2");
  for (const path of ["models/smollm", "/a/b", "./m", "../a/m.gguf", "C:\\m", "m"]) {
    assert.equal(modelNameForOthers(path), path);
  }
});

Deno.test("hub names: what cannot be is refused in words", () => {
  for (
    const text of [
      "hf:",
      "hf:a/b/c",
      "hf:../etc",
      "hf:a/..",
      "hf:a--b/c",
      "hf:a/b.git",
      "hf:a b/c",
      "hf:a/b@../x",
    ]
  ) {
    assertRefuses(() => parseHubName("model", text), "usage", `"${text}"`, "expected org/name");
  }
});

Deno.test("hub names: what exists here wins, and a mistyped path is not sent to the hub", () =>
  withTempDir((folder) => {
    const before = Deno.cwd();
    Deno.chdir(folder);
    try {
      Deno.mkdirSync("models/smollm", { recursive: true });
      assert.equal(hubModelOf("models/smollm"), null);
      assertRefuses(
        () => hubModelOf("models/smolm"),
        "data",
        'did you mean "models/smollm"?',
        "hf:models/smolm",
      );
      assert.equal(hubModelOf("hf:models/smolm")?.repo, "models/smolm");
      assert.equal(hubModelOf("org/name")?.repo, "org/name");
      for (const path of ["./a/b", "a/b/c", "a/b.gguf", "model", "/a/b", "a\\b"]) {
        assert.equal(hubModelOf(path), null, path);
      }
      assert.equal(hubDataOf("org/name"), null);
      assert.equal(hubDataOf("hf:org/name:test")?.part, "test");
    } finally {
      Deno.chdir(before);
    }
  }));

Deno.test("hub settings: the variables of Hugging Face's programs, in their order", () =>
  withTempDir((home) => {
    const of = (variables: Record<string, string>) => {
      const all: Record<string, string> = { HOME: home, USERPROFILE: home, ...variables };
      return hubSettings((name) => all[name]);
    };
    assert.equal(of({}).cache, join(home, ".cache/huggingface/hub"));
    assert.equal(of({ XDG_CACHE_HOME: "/x" }).cache, "/x/huggingface/hub");
    assert.equal(of({ HF_HOME: "~/h", XDG_CACHE_HOME: "/x" }).cache, join(home, "h/hub"));
    assert.equal(of({ HF_HOME: "/h", HUGGINGFACE_HUB_CACHE: "/old" }).cache, "/old");
    assert.equal(of({ HF_HUB_CACHE: "/c", HUGGINGFACE_HUB_CACHE: "/old" }).cache, "/c");
    assert.equal(of({}).endpoint, "https://huggingface.co");
    assert.equal(of({ HF_ENDPOINT: "http://mirror:8/" }).endpoint, "http://mirror:8");
    assert.equal(of({ HF_HUB_OFFLINE: "YES" }).offline, true);
    assert.equal(of({ HF_HUB_OFFLINE: "0" }).offline, false);
    assert.equal(of({}).token, undefined);
    Deno.writeTextFileSync(join(home, "token"), "hf_file\n");
    assert.equal(of({ HF_HOME: home }).token?.authorization, "Bearer hf_file");
    assert.equal(of({ HF_HOME: home, HF_TOKEN: "hf_env" }).token?.authorization, "Bearer hf_env");
    assert.equal(of({ HF_HOME: home, HF_HUB_DISABLE_IMPLICIT_TOKEN: "1" }).token, undefined);
    assertRefuses(() => of({ HF_ENDPOINT: "mirror" }), "usage", "HF_ENDPOINT", '"mirror"');
    assertRefuses(() => of({ HF_TOKEN: "two words" }), "usage", "HF_TOKEN");
  }));

Deno.test("hub models: safetensors before GGUF, a GGUF by its quantisation, and nothing that runs code", () => {
  const choose = (text: string, ...paths: string[]) => {
    const choice = chooseModel(parseHubName("model", text), filesNamed(...paths));
    return (choice.form === "gguf" ? choice.files : choice.companions).map(({ path }) => path);
  };
  const ggufs = [
    "m-Q4_K_M.gguf",
    "m-Q8_0.gguf",
    "m-BF16-00001-of-00002.gguf",
    "m-BF16-00002-of-00002.gguf",
  ];
  assert.deepEqual(
    choose("a/b", "config.json", "model.safetensors", "run.py", "x.bin", ...ggufs),
    ["config.json"],
  );
  assert.deepEqual(choose("a/b:q4_k_m", ...ggufs), ["m-Q4_K_M.gguf"]);
  assert.deepEqual(choose("a/b:m-Q8_0.gguf", ...ggufs), ["m-Q8_0.gguf"]);
  assert.deepEqual(choose("a/b:BF16", ...ggufs), ggufs.slice(2));
  assert.deepEqual(choose("a/b", "m.gguf", "mmproj-f16.gguf"), ["m.gguf"]);
  const refuse = (text: string, paths: string[], ...words: string[]) =>
    assertRefuses(() => choose(text, ...paths), "data", ...words);
  refuse("a/b", ggufs, "several GGUF files", '"a/b:', "Q4_K_M, Q8_0");
  refuse("a/b:Q4_KM", ggufs, 'no GGUF file "Q4_KM"', 'did you mean "a/b:Q4_K_M"?');
  refuse("a/b:BF16", ggufs.slice(0, 3), "1 of the 2 parts");
  refuse("a/b", ["config.json", "pytorch_model.bin"], '"pytorch_model.bin" only, a pickle');
  refuse("a/b", ["adapter_config.json", "adapter_model.safetensors"], "an adapter");
  refuse("a/b", ["README.md"], "holds no model");
});

Deno.test("hub data: files by split, from README.md or from their names", () => {
  const choose = (text: string, paths: string[], readme: unknown = null) =>
    chooseData(parseHubName("dataset", text), filesNamed(...paths), readme).map(({ path }) => path);
  const flat = ["README.md", "train.jsonl", "test.jsonl", "dev.csv", "dataset_infos.json"];
  assert.deepEqual(choose("hf:a/b", flat), ["train.jsonl"]);
  assert.deepEqual(choose("hf:a/b:validation", flat), ["dev.csv"]);
  assert.deepEqual(choose("hf:a/b", ["one.jsonl", "two.jsonl.gz"]), ["one.jsonl", "two.jsonl.gz"]);
  const shards = ["data/train_sft-00001-of-00002.parquet", "data/train_sft-00000-of-00002.parquet"];
  assert.deepEqual(choose("hf:a/b:train_sft", shards), shards.toReversed());
  const gsm = ["main/train-0.parquet", "main/test-0.parquet", "socratic/train-0.parquet"];
  const config = (config_name: string) => ({
    config_name,
    data_files: ["train", "test"].map((split) => ({ split, path: `${config_name}/${split}-*` })),
  });
  const readme = { configs: [config("main"), config("socratic")] };
  assert.deepEqual(choose("hf:a/b:main", gsm, readme), [gsm[0]]);
  assert.deepEqual(choose("hf:a/b:main/test", gsm, readme), [gsm[1]]);
  assert.deepEqual(choose("hf:a/b:socratic", gsm, readme), [gsm[2]]);
  const standard = { configs: [config("main"), { ...config("socratic"), default: true }] };
  assert.deepEqual(choose("hf:a/b", gsm, standard), [gsm[2]]);
  const converted = [
    "default/train/0000.parquet",
    "default/train/0001.parquet",
    "default/test/0000.parquet",
  ];
  assert.deepEqual(choose("hf:a/b@refs/convert/parquet:train", converted), converted.slice(0, 2));
  const refuse = (text: string, paths: string[], about: unknown, ...words: string[]) =>
    assertRefuses(() => choose(text, paths, about), "data", ...words);
  refuse("hf:a/b", gsm, readme, "several configurations", '"hf:a/b:main"', "main, socratic");
  refuse("hf:a/b:test", gsm, readme, "several configurations", '"hf:a/b:main/test"');
  refuse("hf:a/b:tset", flat, null, 'no split "tset"', 'did you mean "hf:a/b:test"?');
  refuse(
    "hf:a/b",
    ["train.arrow"],
    null,
    '"train.arrow"',
    "expected JSONL",
    "refs/convert/parquet",
  );
  refuse("hf:a/b", ["b.py"], null, '"b.py"', "expected JSONL");
  refuse("hf:a/b:train_sft", shards.slice(1), null, "1 of 2 files");
});

Deno.test("hub data: patterns stay in their folder unless they say otherwise", () => {
  for (
    const [pattern, path, expected] of [
      ["data/*.json", "data/a.json", true],
      ["data/*.json", "data/b/a.json", false],
      ["**/*.json", "a.json", true],
      ["**/*.json", "x/y/a.json", true],
      ["{a,b}/t-[0-9].csv", "b/t-7.csv", true],
      ["t?.csv", "t+.csv", true],
      ["a+b.csv", "aab.csv", false],
    ] as const
  ) assert.equal(globPattern(pattern).test(path), expected, `${pattern} ${path}`);
});

Deno.test("hub: a data set is downloaded split by split, and offline an unfinished one is told", () =>
  withTempDir(async (cache) => {
    await using server = new HubServer();
    server.add("datasets/org/data", {
      "README.md":
        "---\nconfigs:\n- config_name: default\n  data_files:\n  - split: train\n    path: t/*\n  - split: test\n    path: e.jsonl\n---\n# x",
      "t/a.jsonl": '{"text":"a"}\n',
      "t/b.jsonl": '{"text":"b"}\n',
      "e.jsonl": '{"text":"c"}\n',
    });
    const hub = server.parts(cache);
    const name = parseHubName("dataset", "hf:org/data");
    const { paths } = await downloadData(name, { hub });
    assert.deepEqual(paths.map((path) => Deno.readTextFileSync(path)), [
      '{"text":"a"}\n',
      '{"text":"b"}\n',
    ]);
    assert.equal(server.downloads("e.jsonl").length, 0);
    const test = parseHubName("dataset", "hf:org/data:test");
    await assertRejects(
      () => downloadData(test, { hub, offline: true }),
      "environment",
      'lacks "e.jsonl"',
    );
    Deno.removeSync(paths[1]!);
    await assertRejects(
      () => downloadData(name, { hub, offline: true }),
      "environment",
      'lacks "t/b.jsonl"',
    );
  }));

Deno.test("hub: a model that is of no use is refused before its weights are asked for", async (t) => {
  const cases: [string, Record<string, unknown>, string[]][] = [
    ["code of its own", { model_type: "odd", auto_map: { AutoModel: "modeling_odd.OddModel" } }, [
      '"org/odd"',
      '"modeling_odd.OddModel"',
      "never run",
    ]],
    ["another architecture", { model_type: "bert" }, ['"org/odd"', '"bert"', "supported: llama"]],
  ];
  for (const [name, config, words] of cases) {
    await t.step(name, () =>
      withTempDir(async (cache) => {
        await using server = new HubServer();
        const files = { "config.json": JSON.stringify(config), "model.safetensors": noise(2000) };
        server.add("models/org/odd", files);
        const use = { hub: server.parts(cache) };
        await assertRejects(() => localModelPath("org/odd", use), "data", ...words);
        assert.equal(server.downloads("model.safetensors").length, 0);
      }));
  }
});

Deno.test("hub: shards are those that the index names, and none outside the folder", () =>
  withTempDir(async (cache) => {
    await using server = new HubServer();
    const index = (...shards: string[]) =>
      JSON.stringify({
        weight_map: Object.fromEntries(shards.map((shard, i) => [`t${i}`, shard])),
      });
    const parts = {
      "config.json": "{}",
      "a-1.safetensors": noise(2000),
      "b-2.safetensors": noise(9),
    };
    const at = "model.safetensors.index.json";
    server.add("models/org/big", {
      ...parts,
      [at]: index("a-1.safetensors"),
      "consolidated.safetensors": noise(50),
    });
    const hub = server.parts(cache);
    const { paths: [folder = ""] } = await downloadModel(parseHubName("model", "org/big"), { hub });
    assert.deepEqual([...Deno.readDirSync(folder)].map(({ name }) => name).sort(), [
      "a-1.safetensors",
      "config.json",
      at,
    ]);
    server.add("models/org/bad", { ...parts, [at]: index("../../b.safetensors") });
    await assertRejects(
      () => downloadModel(parseHubName("model", "org/bad"), { hub }),
      "data",
      '"../../b.safetensors"',
    );
  }));

Deno.test("hub: a listing with paths that leave the folder is not believed", () =>
  withTempDir(async (cache) => {
    await using server = new HubServer();
    for (const path of ["../evil.json", "/etc/x.json", "a\\..\\b.json", "a//b.json"]) {
      server.add("models/org/evil", { [path]: "{}" });
      await assertRejects(
        () => downloadModel(parseHubName("model", "org/evil"), { hub: server.parts(cache) }),
        "data",
        "does not tell the files of org/evil",
      );
    }
  }));
