// Calendars on standard input, as a JSON object of them by name; what ical.js sees in each on standard output.

import ICAL from "ical.js";
import { readFileSync } from "node:fs";
import { events } from "./reading.js";

const told = {};
for (const [name, text] of Object.entries(JSON.parse(readFileSync(0, "utf8")))) {
  ICAL.TimezoneService.reset();
  told[name] = { events: events(ICAL, text), jcal: ICAL.parse(text) };
}
process.stdout.write(JSON.stringify(told));
