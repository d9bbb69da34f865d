// The first start: a link is copied and fetched, the feed switched off and on, its page opened; a secret address is ended.
import { given, walked } from "../stage.mjs";

const { address, secrets } = given;

await walked(async ({ page, name, scripted, found, judged }) => {
  const fetched = async (link) => {
    const answer = await page.request.get(link);
    return { status: answer.status(), text: (await answer.text()).slice(0, 2000) };
  };

  await page.goto(address);
  await judged("start");
  const card = page.locator("li.card").first();
  const field = card.locator("input").first();
  if (name === "desktop") {
    await card.getByRole("button", { name: /^Copy the ICS link/ }).click();
    found.copied = await page.evaluate(() => navigator.clipboard.readText());
  }
  const link = await field.inputValue();
  found.link = link;
  found.on = await fetched(link);
  await card.getByRole("switch").click();
  await judged("off");
  found.disabled = await page.locator("li.card").first().locator("input").first().isDisabled();
  found.off = await fetched(link);
  await page.locator("li.card").first().getByRole("switch").click();
  found.again = await fetched(link);
  await page.locator("li.card").first().getByRole("button", { name: /^Refresh/ }).click();
  await judged("refreshed");

  await page.goto(secrets[name]);
  await judged("subscribe");
  const secret = await page.locator("#ics").inputValue();
  found.secret = await fetched(secret);
  await page.locator('form[action="revoke"] input[type="checkbox"]').check();
  await page.locator('form[action="revoke"] button').click();
  await judged("revoked");
  found.revoked = await fetched(secret);
});
