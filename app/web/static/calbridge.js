// Copy buttons: shown only where the browser lets a page write to the clipboard.
for (const button of document.querySelectorAll("[data-copy]")) {
  if (!navigator.clipboard) continue;
  const label = button.textContent;
  button.hidden = false;
  button.addEventListener("click", async () => {
    const field = document.getElementById(button.dataset.copy);
    field.select();
    try { await navigator.clipboard.writeText(field.value); }
    catch { document.execCommand("copy"); } // within another's page the clipboard may be closed to us
    button.textContent = button.dataset.copied;
    setTimeout(() => { button.textContent = label; }, 1500);
  });
}

document.documentElement.classList.add("script");

// Within another's page, what leads elsewhere opens in a window of its own: few sites let themselves be framed.
if (window.top !== window) {
  for (const link of document.querySelectorAll("a[href^='http']")) link.target = "_blank";
}

// A file dropped on the field is as if it had been chosen.
for (const place of document.querySelectorAll("[data-drop]")) {
  const field = document.getElementById(place.dataset.drop);
  for (const kind of ["dragover", "dragleave", "drop"]) {
    place.addEventListener(kind, (event) => {
      event.preventDefault();
      place.classList.toggle("over", kind === "dragover");
      if (kind === "drop" && event.dataTransfer.files.length) field.files = event.dataTransfer.files;
    });
  }
}

// How far a run has come, told by the server; where it cannot tell, the page looks again by itself.
for (const place of document.querySelectorAll("[data-events]")) {
  const bar = place.querySelector("progress");
  const told = place.querySelector("[data-told]");
  const source = new EventSource(place.dataset.events);
  source.addEventListener("progress", (event) => {
    const now = JSON.parse(event.data);
    if (!now.of) return;
    bar.max = now.of;
    bar.value = now.done;
    const says = (words) => words.replace(/\{(\w+)\}/g, (whole, name) => now[name] ?? whole);
    const { done, refused, rest } = place.dataset;
    told.textContent = [done, now.errors && refused, now.rest && rest].filter(Boolean).map(says).join(", ");
  });
  source.addEventListener("end", () => { source.close(); location.reload(); });
  source.addEventListener("error", () => {
    if (source.readyState === EventSource.CLOSED) setTimeout(() => location.reload(), 5000);
  });
}
