// From a file to a report and back.
import { given, walked } from "../stage.mjs";

const PLACES = ["/", "/imports", "/subscriptions", "/subscriptions/new", "/drift"];
const { address, file } = given;

await walked(async ({ page, name, scripted, judged }) => {
  const waits = () => page.waitForFunction(() => !document.querySelector("[data-events]"), { timeout: 20000 });
  const over = async () => {
    if (scripted) return waits();
    for (let tries = 0; tries < 60 && await page.locator("[data-events]").count(); tries++) {
      await page.waitForTimeout(500);
      await page.reload();
    }
  };

  for (const place of PLACES) {
    await page.goto(address + place);
    await judged(place === "/" ? "start" : place.slice(1).replace("/", "-"));
  }
  await page.goto(`${address}/import`);
  await judged("import");
  await page.setInputFiles("#file", file);
  await page.fill("#name", name);
  await page.fill("#to", "2097-12-31");
  await page.selectOption("#calendar", { index: 0 });
  await page.getByRole("button", { name: "Preview" }).click();
  await judged("preview");
  await page.getByRole("button", { name: /^Import/ }).click();
  await over();
  await judged("report");
  await page.getByRole("link", { name: "Take it back" }).click();
  await judged("undo");
  await page.getByRole("button", { name: "Take it back" }).click();
  await judged("undone");
  await page.goto(`${address}/imports`);
  await judged("runs");
});
