// Says while typing how many licenses are left. The server checks the sum; nothing depends on this.
(() => {
  const format = (number) => number.toLocaleString(document.documentElement.lang || undefined);
  for (const table of document.querySelectorAll("table[data-distribute]")) {
    const total = Number(table.dataset.distribute);
    const inputs = [...table.querySelectorAll("tbody input")];
    const output = table.querySelector("output");
    const count = (value) => Number(value.replace(/[\s.,'’]/g, "")) || 0;
    const show = () => {
      const left = total - inputs.reduce((sum, input) => sum + count(input.value), 0);
      const text = left > 0 ? output.dataset.left : left < 0 ? output.dataset.over : output.dataset.done;
      output.textContent = text.replace("{n}", format(Math.abs(left)));
      output.classList.toggle("left", left !== 0);
    };
    table.addEventListener("input", show);
    show();
  }
})();
