// Ends the session and leads to the sign-in page; without this script the form still ends it.
for (const form of document.querySelectorAll("form[data-sign-out]")) {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    let done = false;
    try {
      done = (await fetch(form.action, { method: "POST" })).ok;
    } catch {
      // said below
    }
    if (done) {
      window.location.assign("/login");
    } else {
      window.alert("Signing out did not work: you are still signed in. Try again.");
    }
  });
}
