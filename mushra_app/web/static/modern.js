// Tells features.js that this browser has module scripts and the syntax of all others: private methods, logical
// assignment, top-level await. A browser that lacks one of them cannot read this file.
class Modern {
  #mark(element) {
    element.dataset.modern ??= "yes";
  }

  static mark(element) {
    new Modern().#mark(element);
  }
}

Modern.mark(document.documentElement);
await null;
