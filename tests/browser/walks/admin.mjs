// An administrator under a plain name: signs in, tries a connection, publishes a feed, gives addresses out and takes them
// back, makes a token and revokes it, imports one file into many calendars, and reads in the log who did all that.
import { given, walked } from "../stage.mjs";

const { address, here, password, file } = given; // the name is known to the browser alone, `here` to all programs
const PLACES = ["connections", "links", "workers", "settings", "log"];

await walked(async ({ page, name, found, judged }) => {
  const fetched = async (link) => (await page.request.get(link)).status();
  const press = (words) => page.getByRole("button", { name: words }).click();

  await page.goto(`${address}/admin`);
  await judged("signin");
  await page.fill("input[name=name]", "ann");
  await page.fill("input[name=password]", password);
  await press("Sign in");
  await page.waitForURL(`${address}/admin`);
  await judged("waits");
  for (const place of PLACES) {
    await page.goto(`${address}/admin/${place}`);
    await judged(place);
  }

  await page.goto(`${address}/admin/connections`);
  await press("Test demo");
  found.trial = await page.getByRole("status").textContent();
  await judged("tried");

  await page.goto(`${address}/admin/feeds/new`);
  await judged("new");
  await page.selectOption("#calendar", "demo/institution");
  await page.fill("#title", `<b>Staff</b> ${name}`);
  await press("Publish it");
  await judged("address");
  const first = await page.locator("#new-ics").inputValue();
  await page.getByRole("link", { name: "Done" }).click();
  await judged("feed");
  await page.fill("#name", "phone");
  await press("Make an address");
  const phone = await page.locator("#new-ics").inputValue();
  found.given = [await fetched(first), await fetched(phone)];
  await page.getByRole("link", { name: "Done" }).click();
  await page.getByRole("link", { name: "Take back the address phone" }).click();
  await judged("sure");
  await press("Take it back");
  found.taken = [await fetched(first), await fetched(phone)];
  await page.selectOption("#privacy", "busy-only");
  await press("Keep");
  found.kept = await page.getByRole("status").textContent();

  await page.goto(`${address}/admin/tokens`);
  await judged("tokens");
  await page.fill("#name", `office ${name}`);
  await press("Make it");
  await judged("token");
  const token = await page.locator("#secret").inputValue();
  const asks = async () => (await page.request.get(`${here}/api/feeds`, { headers: { authorization: `Bearer ${token}` } })).status();
  found.token = [await asks()];
  await page.goto(`${address}/admin/tokens`);
  await page.getByRole("link", { name: `Revoke the token office ${name}` }).click();
  await press("Revoke it");
  found.token.push(await asks());

  await page.goto(`${address}/import`);
  await page.setInputFiles("#file", file);
  await page.fill("#name", name);
  await page.fill("#to", "2097-12-31");
  await page.getByText("Into many calendars").click();
  await page.fill("#routes", "title:Lecture*=>demo/course/statistics\ntitle:*=>demo/course/anatomy-1");
  await judged("routes");
  await press("Preview");
  found.plans = await page.locator("details.card > summary").allTextContents();
  await judged("batch");

  await page.goto(`${address}/admin/log?search=ann`);
  found.deeds = await page.locator("td code").allTextContents();
  await press("Sign out");
  await page.goto(`${address}/admin`);
  found.after = new URL(page.url()).pathname;
}, undefined, ["--host-resolver-rules=MAP calendar.test 127.0.0.1"]);
