// Nobody, then somebody who signs in at a provider, then nobody again.
import { given, walked } from "../stage.mjs";

const { address } = given;

await walked(async ({ page, found, judged }) => {
  await page.goto(`${address}/imports`);
  await judged("signin");
  await page.getByRole("button", { name: /127\.0\.0\.1/ }).click();
  await page.waitForURL(`${address}/imports`);
  await judged("in");
  found.who = await page.locator(".who bdi").textContent();
  await page.locator(".who button").click();
  await page.goto(`${address}/imports`);
  found.after = new URL(page.url()).pathname;
}, ["desktop", "phone"]);
