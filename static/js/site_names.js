// While a site's name is typed: asks the server about it (htmx), shows the answer, and lets an alternative be taken.
// The server says the same when the step is submitted; nothing depends on this.
(() => {
  const fieldOf = (element) => element.closest("[data-site-name]");
  const inputOf = (field) => field.querySelector("input");
  const typed = (input) => input.value.trim().toLowerCase();

  document.addEventListener("htmx:configRequest", (event) => {
    const field = fieldOf(event.target);
    if (!field) return;
    const input = inputOf(field);
    // Nobody is told that a name is too short while it is being typed.
    if (typed(input).length < 4) {
      event.preventDefault();
      window.htmx.trigger(event.target, "htmx:abort");
      field.querySelector(".site-name-answer").replaceChildren();
      mark(field);
      return;
    }
    const others = [...document.querySelectorAll("[data-site-name] input")].filter((other) => other !== input);
    if (others.some((other) => typed(other) === typed(input))) event.detail.parameters.twice = "1";
  });

  document.addEventListener("htmx:afterSwap", (event) => {
    const field = fieldOf(event.target);
    if (field) mark(field);
  });

  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-site-name] button[name=use]");
    if (!button) return;
    event.preventDefault();
    const input = inputOf(fieldOf(button));
    input.value = button.value.slice(button.value.indexOf(":") + 1);
    input.focus();
    input.dispatchEvent(new Event("input", { bubbles: true }));
  });

  const mark = (field) => {
    const refused = field.querySelector(".field-problem") !== null;
    field.classList.toggle("has-problem", refused);
    inputOf(field).setAttribute("aria-invalid", refused);
  };
})();
