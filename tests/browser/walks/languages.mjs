// A language is chosen at the foot of a page, and every page from there on speaks it: no wider than its window, and sound.
import { given, walked } from "../stage.mjs";

const { address, paths, languages } = given;

await walked(async ({ page, scripted, found, judged }) => {
  for (const [code, name] of scripted ? languages.slice(0, 1) : languages) {
    await page.goto(`${address}/public/anatomy-i/?month=2096-11`);
    await page.getByRole("link", { name, exact: true }).click();
    const chosen = { address: page.url(), spoken: [] };
    for (const path of paths) {
      await page.goto(`${address}${path}`);
      for (const more of await page.locator("details").all()) await more.evaluate((one) => { one.open = true; });
      chosen.spoken.push(await page.locator("html").getAttribute("lang"));
      await judged(`${code}-${path.replaceAll("/", "-")}`);
    }
    found[code] = chosen;
  }
  if (!scripted) return;
  await page.goto(`${address}/`);
  await page.evaluate(() => { // where nobody may write to the clipboard, the button still says what it did
    navigator.clipboard.writeText = async () => {};
  });
  await page.locator("[data-copy]").first().click();
  await page.waitForFunction(() => { const { textContent, dataset } = document.querySelector("[data-copy]"); return textContent === dataset.copied; });
  found.copied = await page.locator("[data-copy]").first().textContent();
});
