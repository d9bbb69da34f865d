// Reads a calendar as programs built on ical.js do, its own time zones first: for Node.js and for a page.

export function events(ICAL, text) {
  const calendar = new ICAL.Component(ICAL.parse(text));
  for (const zone of calendar.getAllSubcomponents("vtimezone")) {
    ICAL.TimezoneService.register(zone);
  }
  return calendar.getAllSubcomponents("vevent").map((component) => {
    const event = new ICAL.Event(component);
    const value = (name) => String(component.getFirstPropertyValue(name) ?? "");
    return {
      uid: event.uid,
      start: written(event.startDate),
      end: written(event.endDate),
      title: event.summary,
      text: event.description ?? "",
      place: event.location ?? "",
      categories: component.getAllProperties("categories").flatMap((each) => each.getValues()),
      url: value("url"),
      status: value("status"),
    };
  });
}

function written(time) {
  return time.isDate ? time.toString() : time.toJSDate().toISOString().replace(".000Z", "Z");
}
