// Searches a list of time zones. The list itself works without this.
(() => {
  const plain = (text) => text.normalize("NFKD").replace(/[\u0300-\u036f’']/g, "").replace("−", "-").toLowerCase();

  for (const search of document.querySelectorAll(".zone-search")) {
    const list = document.getElementById(search.dataset.list);
    const input = search.querySelector("input");
    const status = search.querySelector("[role=status]");
    const whole = [...list.children];
    const zones = [...list.querySelectorAll("optgroup > option")].map((option) => ({
      option,
      group: option.parentElement.label,
      text: plain(`${option.text} ${option.value.replaceAll("_", " ")} ${option.parentElement.label}`),
    }));
    const groups = new Map([...list.querySelectorAll("optgroup")].map((group) => [group, [...group.children]]));

    const filter = () => {
      const words = plain(input.value).split(/\s+/).filter(Boolean);
      const chosen = list.value;
      const found = zones.filter((zone) => words.every((word) => zone.text.includes(word)));
      const kept = new Set(found.map((zone) => zone.option));
      for (const [group, options] of groups) {
        // What is selected stays selected, and in the list.
        group.replaceChildren(...options.filter((option) => kept.has(option) || option.value === chosen));
      }
      list.replaceChildren(...whole.filter((part) => !groups.has(part) || part.children.length));
      list.value = words.length && found.length === 1 ? found[0].option.value : chosen;
      const { none, one, many } = search.dataset;
      status.textContent = !words.length
        ? ""
        : found.length === 0
          ? none
          : found.length === 1
            ? one.replace("{zone}", found[0].option.text)
            : many.replace("{n}", found.length);
    };

    input.addEventListener("input", filter);
    input.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" && event.key !== "ArrowDown") return;
      event.preventDefault(); // Enter would submit the step
      list.focus();
    });
    search.hidden = false;
  }
})();
