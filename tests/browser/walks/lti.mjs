// A student and a teacher open calbridge within a page of their LMS, on another site, in a browser that keeps no cookies
// of other sites but partitioned ones. Needs `lms`, `student`, `teacher` and a `file`.
import { given, walked } from "../stage.mjs";

await walked(async ({ page, scripted, found, judged }) => {
  const opened = async (person) => {
    await page.goto(`${given.lms}/course/anatomy-1?as=${person}`);
    const frame = await (await page.locator("iframe").elementHandle()).contentFrame();
    if (!scripted) await frame.getByRole("button", { name: "Go on" }).click();
    await frame.locator("h1").waitFor();
    return frame;
  };

  const student = await opened(given.student);
  await student.locator("#ics").waitFor();
  await judged("student", student);
  found.link = await student.locator("#ics").inputValue();
  found.calendar = await (await page.request.get(found.link)).text();
  if (scripted) {
    const copy = student.locator(".link button").first();
    await copy.click();
    await student.getByRole("button", { name: "Copied" }).waitFor();
  }
  found.elsewhere = await student.locator("a[href*='outlook']").first().getAttribute("target");
  const again = await opened(given.student);
  found.again = await again.locator("#ics").inputValue();

  const teacher = await opened(given.teacher);
  await teacher.locator("#file").waitFor();
  await judged("teacher", teacher);
  found.into = await teacher.locator("#calendar").inputValue();
  await teacher.setInputFiles("#file", given.file);
  await teacher.fill("#to", "2097-12-31");
  await teacher.getByRole("button", { name: "Preview" }).click();
  await teacher.getByRole("heading", { name: "Preview" }).waitFor();
  await judged("preview", teacher);
  found.preview = await teacher.locator("main").textContent();
}, ["desktop", "phone", "plain"], ["--test-third-party-cookie-phaseout"]);
