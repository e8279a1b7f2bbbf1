"use strict";
// Tables that sort and filter, scripts to copy, links into the history chart. Without it every row is there, in file order.
(() => {
  const make = (name, properties = {}, ...children) => {
    const element = Object.assign(document.createElement(name), properties);
    element.append(...children);
    return element;
  };

  // What a cell sorts by: its whole number where it has one, else its text; null: nothing there, always last.
  const keyOf = (row, column, isNumber) => {
    const cell = row.cells[column];
    if (!isNumber) return cell.textContent.trim();
    return cell.dataset.v ? Number(cell.dataset.v) : null;
  };

  const compare = (a, b) => {
    if (a === null || b === null) return (a === null) - (b === null);
    return typeof a === "number" ? a - b : a.localeCompare(b, "en", { numeric: true });
  };

  const makeSortable = (table, afterwards) => {
    const heads = [...table.tHead.rows[0].cells];
    const sortBy = (head, column) => {
      const descending = head.getAttribute("aria-sort") === "ascending";
      const isNumber = head.dataset.sort === "num";
      const keyed = [...table.tBodies[0].rows].map((row) => [keyOf(row, column, isNumber), row]);
      keyed.sort(([a], [b]) => (descending && a !== null && b !== null ? compare(b, a) : compare(a, b)));
      table.tBodies[0].append(...keyed.map(([, row]) => row));
      heads.forEach((each) => each.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", descending ? "descending" : "ascending");
      afterwards();
    };
    heads.forEach((head, column) => {
      const button = make("button", { type: "button" }, head.textContent);
      button.addEventListener("click", () => sortBy(head, column));
      head.replaceChildren(button);
    });
  };

  // On a phone rows become blocks, which takes their meaning as table rows away: say it.
  const keepRoles = (table) => {
    table.setAttribute("role", "table");
    [table.tHead, ...table.tBodies].forEach((group) => group.setAttribute("role", "rowgroup"));
    for (const row of table.rows) {
      row.setAttribute("role", "row");
      for (const cell of row.cells) {
        const isHead = cell.tagName === "TH";
        cell.setAttribute("role", !isHead ? "cell" : cell.scope === "row" ? "rowheader" : "columnheader");
      }
    }
  };

  // Every word must occur: whole where it stands between slashes or dashes of a name is not asked, "amd 4K" is enough.
  const makeFilter = (box, table) => {
    const limit = Number(box.dataset.rows);
    const input = make("input", { type: "search", autocomplete: "off", spellcheck: false, placeholder: "words, all must occur" });
    const output = make("output");
    const more = make("button", { type: "button", className: "more" });
    const chips = (box.dataset.chips || "").split(",").filter(Boolean).map((text) => make("button", { type: "button" }, text));
    let showAll = false;

    const apply = () => {
      const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
      const rows = [...table.tBodies[0].rows];
      let matching = 0;
      for (const row of rows) {
        row.dataset.text ??= row.textContent.toLowerCase();
        const isIn = words.every((word) => row.dataset.text.includes(word));
        matching += isIn;
        row.classList.toggle("out", !isIn || (!showAll && matching > limit));
      }
      output.textContent = words.length ? `${matching} of ${rows.length}` : `${rows.length} rows`;
      more.hidden = matching <= limit;
      more.textContent = showAll ? `Show the first ${limit}` : `Show all ${matching}`;
      chips.forEach((chip) => chip.setAttribute("aria-pressed", String(chip.textContent === input.value)));
    };

    input.addEventListener("input", apply);
    more.addEventListener("click", () => { showAll = !showAll; apply(); });
    chips.forEach((chip) => chip.addEventListener("click", () => {
      input.value = input.value === chip.textContent ? "" : chip.textContent;
      apply();
    }));
    const label = make("label", {}, "Filter ", input);
    input.setAttribute("aria-label", `Filter: ${box.dataset.title}`);
    box.before(make("div", { className: "tools" }, label, ...chips, output));
    box.after(more);
    apply();
    return apply;
  };

  for (const box of document.querySelectorAll("[data-title]")) {
    const table = box.querySelector("table");
    keepRoles(table);
    const apply = box.dataset.rows ? makeFilter(box, table) : () => {};
    makeSortable(table, apply);
  }

  for (const script of document.querySelectorAll("pre.script")) {
    const button = make("button", { type: "button", className: "button" }, "Copy");
    button.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(script.textContent);
        button.textContent = "Copied";
      } catch {
        script.closest("details").open = true;
        getSelection().selectAllChildren(script);
        button.textContent = "Selected";
      }
    });
    script.closest("details").previousElementSibling.querySelector("a").after(button);
  }

  const choice = document.getElementById("history-case");
  for (const link of document.querySelectorAll("[data-history]")) {
    link.addEventListener("click", () => {
      if (!choice) return;
      choice.value = link.dataset.history;
      choice.dispatchEvent(new Event("change"));
      choice.focus({ preventScroll: true });
    });
  }

  const openTarget = () => document.getElementById(decodeURIComponent(location.hash.slice(1)))?.closest("details")?.setAttribute("open", "");
  window.addEventListener("hashchange", openTarget);
  openTarget();
})();
