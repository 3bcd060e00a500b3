// Turns the text fields of a draft into editors with highlighting, completion and marks at problems.
//
// The fields stay what the form posts: without this script one writes into them and loses nothing but comfort.
// The page says what can be written (the JSON of #template-vocabulary) and what is wrong (the event "problems").
import { autocompletion, closeBrackets, closeBracketsKeymap, completionKeymap } from "@codemirror/autocomplete";
import { defaultKeymap, history, historyKeymap, indentWithTab } from "@codemirror/commands";
import { html } from "@codemirror/lang-html";
import { bracketMatching, indentOnInput, syntaxHighlighting } from "@codemirror/language";
import { lintGutter, lintKeymap, setDiagnostics } from "@codemirror/lint";
import { highlightSelectionMatches, search, searchKeymap } from "@codemirror/search";
import { EditorSelection, EditorState } from "@codemirror/state";
import {
  Decoration, EditorView, MatchDecorator, ViewPlugin, drawSelection, highlightActiveLine, highlightSpecialChars,
  keymap, lineNumbers, rectangularSelection,
} from "@codemirror/view";
import { classHighlighter } from "@lezer/highlight";

const vocabulary = JSON.parse(document.getElementById("template-vocabulary")?.textContent ?? "{}");
const form = document.getElementById("draft");

// --- Highlighting of what Handlebars reads

const mustaches = new MatchDecorator({
  regexp: /\{\{(?:!--[^]*?--|[^}]*)\}\}\}?/g,
  decoration: (match) => Decoration.mark({ class: /^\{\{~?!/.test(match[0]) ? "cm-mustache-comment" : "cm-mustache" }),
});
const handlebars = ViewPlugin.fromClass(
  class {
    constructor(view) { this.decorations = mustaches.createDeco(view); }
    update(update) { this.decorations = mustaches.updateDeco(update, this.decorations); }
  },
  { decorations: (plugin) => plugin.decorations },
);

// --- Completion

// Yield what is known inside a name such as "customer": its fields; of a list, those of one item.
const inside = (fields, path) => {
  let found = fields;
  for (const part of path.split(".").filter((each) => each && each !== "this")) {
    found = found?.find((field) => field.name === part)?.fields;
  }
  return found ?? [];
};

// The fields where the cursor is: inside {{#each lines}} those of a line.
const here = (before) => {
  const scopes = [vocabulary.fields ?? []];
  for (const [, sign, word, path] of before.matchAll(/\{\{~?([#/])(each|with)\s*([\w.@/]*)/g)) {
    if (sign === "/") scopes.length > 1 && scopes.pop();
    else scopes.push(path.startsWith("../") ? inside(scopes.at(-2) ?? [], path.slice(3)) : inside(scopes.at(-1), path));
  }
  return scopes;
};

const option = (field, boost = 0) => ({
  label: field.name, type: "property", detail: field.kind, info: field.about || undefined, boost,
});

const options = (scopes, path) => {
  if (path.startsWith("@")) return vocabulary.data ?? [];
  let fields = scopes.at(-1);
  let rest = path;
  for (let climb = 2; rest.startsWith("../"); climb++) {
    fields = scopes.at(-climb) ?? [];
    rest = rest.slice(3);
  }
  return inside(fields, rest.slice(0, rest.lastIndexOf(".") + 1));
};

const complete = (context) => {
  const before = context.state.sliceDoc(0, context.pos);
  const open = /\{\{\{?[~#/>&^*]*[^{}]*$/.exec(before);
  if (!open) return null;
  const typed = /[\w@./-]*$/.exec(before)[0];
  const last = typed.slice(Math.max(typed.lastIndexOf("."), typed.lastIndexOf("/")) + 1);
  const from = context.pos - last.length;
  if (/^\{\{~?#?>\s*[\w-]*$/.test(open[0])) {
    return { from: context.pos - typed.length, options: (vocabulary.partials ?? []).map((label) => ({ label, type: "namespace" })) };
  }
  if (typed.startsWith("@")) {
    return { from: context.pos - typed.length, options: vocabulary.data ?? [], validFor: /^@[\w.]*$/ };
  }
  const scopes = here(before.slice(0, open.index));
  const found = options(scopes, typed).map((field) => option(field, 2));
  if (!/[./]/.test(typed)) {
    found.push(...(vocabulary.helpers ?? []));
    if (scopes.length > 1) found.push({ label: "../", type: "keyword", detail: "what is outside", boost: -1 });
  }
  return { from, options: found, validFor: /^[\w-]*$/ };
};

// --- One editor for each field

const look = EditorView.theme({
  "&": { fontSize: "13px" },
  ".cm-scroller": { fontFamily: "ui-monospace, SFMono-Regular, Menlo, Consolas, monospace", lineHeight: "1.5" },
});

const editors = new Map();

const upgrade = (field) => {
  const name = field.name.replace(/^file:/, "");
  const isHtml = name.endsWith(".html.hbs") || name === "source.hbs";
  const view = new EditorView({
    state: EditorState.create({
      doc: field.value,
      extensions: [
        lineNumbers(), highlightSpecialChars(), history(), drawSelection(), rectangularSelection(), indentOnInput(),
        bracketMatching(), closeBrackets(), highlightActiveLine(), highlightSelectionMatches(), search({ top: true }),
        lintGutter(), handlebars, look, syntaxHighlighting(classHighlighter),
        ...(isHtml ? [html({ matchClosingTags: false, autoCloseTags: false })] : []),
        EditorState.languageData.of(() => [{ autocomplete: complete }]),
        autocompletion(),
        EditorState.tabSize.of(2),
        EditorView.lineWrapping,
        EditorView.contentAttributes.of({ "aria-label": name, "aria-describedby": "editor-keys", tabindex: "0" }),
        keymap.of([
          ...closeBracketsKeymap, ...defaultKeymap, ...searchKeymap, ...historyKeymap, ...completionKeymap, ...lintKeymap,
          indentWithTab,
        ]),
        EditorView.updateListener.of((update) => {
          if (!update.docChanged) return;
          field.value = update.state.doc.toString();
          field.dispatchEvent(new Event("input", { bubbles: true }));
        }),
      ],
    }),
  });
  field.hidden = true;
  field.after(view.dom);
  editors.set(name, view);
  field.addEventListener("jump", (event) => {
    event.preventDefault();
    view.focus();
    view.dispatch({ selection: EditorSelection.cursor(at(view, event.detail)), scrollIntoView: true });
  });
};

const at = (view, { line, column }) => {
  const found = view.state.doc.line(Math.min(Math.max(line, 1), view.state.doc.lines));
  return Math.min(found.from + column - 1, found.to);
};

// --- What is wrong, beside its line

const mark = (problems) => {
  for (const [name, view] of editors) {
    const mine = problems.filter((problem) => problem.file === name);
    const marks = mine.map((problem) => {
      const from = at(view, problem);
      const word = view.state.wordAt(from);
      return {
        from, to: word?.to ?? from, severity: problem.level, message: [problem.message, problem.hint].filter(Boolean).join(". "),
      };
    });
    view.dispatch(setDiagnostics(view.state, marks));
  }
};

if (form) {
  document.querySelectorAll("textarea.template-source").forEach(upgrade);
  document.getElementById("editor-keys")?.removeAttribute("hidden");
  form.addEventListener("problems", (event) => mark(event.detail));
  const first = document.getElementById("template-markers");
  if (first) mark(JSON.parse(first.textContent));
}
