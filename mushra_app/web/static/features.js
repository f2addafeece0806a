// Checks before consent that this browser has what the test needs, and explains what to do if not. Plain ES5 without
// modules, so that it runs in browsers that are too old for the other scripts.
// biome-ignore-all lint/suspicious/noVar: runs in old browsers
// biome-ignore-all lint/complexity/useArrowFunction: runs in old browsers
// biome-ignore-all lint/complexity/useOptionalChain: runs in old browsers
// biome-ignore-all lint/style/useTemplate: runs in old browsers

(function () {
  /** Names of the required features that are missing. */
  function missing() {
    var names = [];
    function need(name, present) {
      if (!present) names.push(name);
    }
    var audio = window.AudioContext && window.AudioBufferSourceNode && window.GainNode;
    need("Web Audio", audio && typeof window.AudioContext.prototype.decodeAudioData === "function");
    need("fetch", window.fetch && window.Response && "body" in window.Response.prototype);
    need("AbortController", window.AbortController);
    need("Pointer Events", window.PointerEvent);
    need("Intl.ListFormat", window.Intl && window.Intl.ListFormat);
    // modern.js has run: the browser has module scripts, and the syntax that ours use.
    need("JavaScript modules (ES2022)", document.documentElement.getAttribute("data-modern"));
    need("cookies", navigator.cookieEnabled !== false);
    return names;
  }

  function check() {
    var names = missing();
    var notice = document.getElementById("unsupported"); // a preview has none
    if (names.length === 0 || !notice) return;
    document.getElementById("missing").textContent = names.join(", ");
    notice.removeAttribute("hidden");
    document.getElementById("enter").setAttribute("hidden", "");
    document.getElementById("enter").style.display = "none"; // the style sheet may be too new as well
  }

  /** Sample rate of the sound output in Hz: that of a context for which none is asked. */
  function outputRate() {
    var context;
    try {
      context = new window.AudioContext();
    } catch (_) {
      return null;
    }
    context.close();
    return context.sampleRate;
  }

  /** Write what consent permits to store into the form that gives it. */
  function describe() {
    var field = document.querySelector("[name=device]");
    if (!field || !window.JSON) return;
    var device = {
      pointer: window.matchMedia && window.matchMedia("(pointer: coarse)").matches ? "touch" : "mouse",
      sample_rate: outputRate(),
      touch_points: navigator.maxTouchPoints || 0,
    };
    function write() {
      field.value = JSON.stringify(device);
    }
    write();
    document.addEventListener("pointerdown", function (event) {
      device.pointer = event.pointerType;
      write();
    });
  }

  document.addEventListener("DOMContentLoaded", describe);
  // Module scripts have run by then, if the browser knows them.
  document.addEventListener("DOMContentLoaded", check);
})();
