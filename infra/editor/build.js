// Makes emails/static/emails/editor.js with the licences of what is in it: `make editor`.
import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { build } from "esbuild";

const OUT = "../../emails/static/emails";

const made = await build({
  entryPoints: ["editor.js"],
  outfile: `${OUT}/editor.js`,
  bundle: true,
  minify: true,
  format: "iife",
  target: "es2022",
  legalComments: "none",
  metafile: true,
  banner: { js: "// CodeMirror and what it needs: see editor.LICENSE.txt. Made by `make editor` from infra/editor." },
});

const packages = [
  ...new Set(
    Object.keys(made.metafile.inputs)
      .map((file) => /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(file)?.[1])
      .filter(Boolean),
  ),
].sort();
const texts = packages.map((name) => {
  const { version } = JSON.parse(readFileSync(`node_modules/${name}/package.json`));
  return `${name} ${version}\n\n${readFileSync(`node_modules/${name}/LICENSE`, "utf8").trim()}\n`;
});
writeFileSync(`${OUT}/editor.LICENSE.txt`, texts.join(`\n${"-".repeat(72)}\n\n`));

// What was made, and of what: a test compares.
const files = ["emails/static/emails/editor.js", "infra/editor/editor.js", "infra/editor/build.js", "infra/editor/package-lock.json"];
const digest = (file) => createHash("sha256").update(readFileSync(`../../${file}`)).digest("hex");
writeFileSync("editor.sha256", files.map((file) => `${digest(file)}  ${file}\n`).join(""));
