// Prints for each line with a template, its data and its partials the text that handlebars.js makes of it, or null.
const Handlebars = require("handlebars");

const HELPERS = {
  // Data that came as JSON knows no difference between null and undefined.
  ifeq(left, right, options) {
    return (left ?? null) === (right ?? null) ? options.fn(this) : options.inverse(this);
  },
  upper(text) {
    return text.toUpperCase();
  },
  raw(options) {
    return options.fn(this);
  },
};

function answer({ template, data, partials }) {
  const handlebars = Handlebars.create();
  handlebars.registerHelper(HELPERS);
  handlebars.registerPartial(partials);
  try {
    return handlebars.compile(template)(data);
  } catch {
    return null;
  }
}

const lines = require("fs").readFileSync(0, "utf8").split("\n");
for (const line of lines.filter(Boolean)) console.log(JSON.stringify(answer(JSON.parse(line))));
