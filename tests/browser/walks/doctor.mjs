// A broken feed is brought to the doctor: the verdict for each client, and the lines at fault.
import { given, walked } from "../stage.mjs";

const { address, file } = given;

await walked(async ({ page, found, judged }) => {
  await page.goto(`${address}/doctor`);
  await judged("doctor");
  await page.setInputFiles("#file", file);
  await page.getByRole("button", { name: "Examine" }).click();
  await judged("verdict");
  found.verdicts = await page.locator(".verdicts li").allTextContents();
  found.findings = await page.locator(".findings li.card").allTextContents();
}, ["desktop", "phone"]);
