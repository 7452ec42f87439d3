// Reads FHIR resources, one JSON text a line, and writes what is wrong with each, one list a line.
const { Fhir } = require("fhir");
const { createInterface } = require("node:readline");

const fhir = new Fhir();
const lines = createInterface({ input: process.stdin });
lines.on("line", (line) => {
  const { messages } = fhir.validate(JSON.parse(line), { errorOnUnexpected: true });
  const wrong = messages.filter(({ severity }) => severity === "error" || severity === "fatal");
  console.log(JSON.stringify(wrong.map(({ location, message }) => `${location}: ${message}`)));
});
