// Opens the lab if it can run here, and says in words why not if it cannot. A plain script, so that it runs from a file.
{
  const say = (words) => (document.getElementById("lab-word").textContent = words);
  const here = document.currentScript.src;
  if (location.protocol === "file:")
    say(
      "This page was opened from a file, and browsers let no page of a file fetch its models. Serve the folder " +
        "instead: in a terminal, run  python -m http.server  in the site's folder, and open http://localhost:8000.",
    );
  else if (typeof WebAssembly !== "object" || typeof Worker !== "function")
    say("The lab needs WebAssembly and web workers, which this browser does not have or has switched off.");
  else if (typeof DecompressionStream !== "function")
    say("The lab needs a browser of 2023 or newer: this one cannot unpack the models.");
  else
    import(new URL("lab.js", here).href).catch(() =>
      say("The lab's script did not start: its files are not all there, or this browser is too old for it."),
    );
}
