"use strict";
// Draws the charts when they come into sight, in the colours of the page, and again when those change.
(() => {
  const charts = JSON.parse(document.getElementById("charts").textContent);
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
  const plain = (text) => echarts.format.encodeHTML(String(text));
  const three = (value) => Number(value.toPrecision(3)).toLocaleString("en").replaceAll(",", "\u202f");

  const size = (shift) => `${2 ** (shift % 10)}${["B", "K", "M", "G", "T"][Math.floor(shift / 10)]}`;
  const time = (ns) => (ns >= 1e6 ? `${three(ns / 1e6)} ms` : ns >= 1e3 ? `${three(ns / 1e3)} \u00b5s` : `${three(ns)} ns`);

  const base = () => ({
    animation: false,
    textStyle: { color: colour("soft"), fontFamily: "system-ui, sans-serif" },
    grid: { left: 4, right: 16, top: 12, bottom: 4, outerBoundsMode: "same", outerBoundsContain: "axisLabel" },
    tooltip: {
      backgroundColor: colour("panel"), borderColor: colour("line"), textStyle: { color: colour("ink"), fontSize: 13 },
      confine: true, transitionDuration: 0,
    },
  });
  const axis = (more) => ({
    axisLine: { lineStyle: { color: colour("line") } },
    axisTick: { lineStyle: { color: colour("line") } },
    splitLine: { lineStyle: { color: colour("line") } },
    axisLabel: { color: colour("soft"), hideOverlap: true, ...more.axisLabel },
    ...Object.fromEntries(Object.entries(more).filter(([key]) => key !== "axisLabel")),
  });
  const categories = (names, width) => axis({
    type: "category", data: names, inverse: true, axisTick: { show: false }, splitLine: { show: false },
    axisLabel: { width: width * 0.3, overflow: "break", interval: 0 },
  });

  const kinds = {
    lines: (chart) => ({
      ...base(),
      tooltip: { ...base().tooltip, trigger: "item", formatter: (at) => `${plain(at.seriesName)}<br>${size(at.value[0])}: <b>${time(at.value[1])}</b>` },
      xAxis: axis({ type: "value", min: "dataMin", max: "dataMax", interval: 3, axisLabel: { formatter: size }, splitLine: { show: false } }),
      yAxis: axis({ type: "log", axisLabel: { formatter: time } }),
      series: chart.series.map((each) => ({
        type: "line", name: each.name, symbolSize: each.dash ? 9 : 6, symbol: each.dash ? "diamond" : "circle",
        data: each.points.map(([bytes, ns]) => [Math.log2(bytes), ns]),
        lineStyle: { color: colour(`c${each.colour}`), width: 2, type: each.dash || "solid" },
        itemStyle: { color: colour(`c${each.colour}`) },
      })),
    }),

    bars: (chart, width) => ({
      ...base(),
      tooltip: { ...base().tooltip, formatter: (at) => `${plain(at.name)}, ${plain(at.seriesName)}<br><b>${plain(chart.series[at.seriesIndex].texts[at.dataIndex])}</b>` },
      grid: { ...base().grid, right: 48 },
      xAxis: axis({ type: "value", axisLabel: { formatter: three } }),
      yAxis: categories(chart.categories, width),
      series: chart.series.map((each) => ({
        type: "bar", name: each.name, barMaxWidth: 18, barMinHeight: 2, itemStyle: { color: colour(`c${each.colour}`) },
        data: each.values,
        label: { show: true, position: "right", color: colour("ink"), formatter: (at) => each.texts[at.dataIndex] },
      })),
    }),

    // A bar from least to most, carried by a clear one, and a mark where one geometry is.
    ranges: (chart, width) => ({
      ...base(),
      tooltip: { ...base().tooltip, formatter: (at) => `${plain(chart.rows[at.dataIndex].name)}<br><b>${plain(chart.rows[at.dataIndex].text)}</b>` },
      xAxis: axis({ type: "value", max: chart.max, axisLabel: { formatter: (value) => `${value}${chart.unit}` } }),
      yAxis: categories(chart.rows.map((row) => row.name), width),
      series: [
        { type: "bar", stack: "range", barMaxWidth: 16, data: chart.rows.map((row) => row.values[0]), itemStyle: { color: "transparent" }, silent: true },
        {
          type: "bar", stack: "range", barMaxWidth: 16, barMinHeight: 3,
          data: chart.rows.map((row) => ({ value: row.values[1] - row.values[0], itemStyle: { color: colour(`c${row.colour}`), opacity: 0.5 } })),
        },
        { type: "scatter", symbol: "rect", symbolSize: [3, 18], itemStyle: { color: colour("ink") }, data: chart.rows.map((row, index) => [row.values[2], index]) },
      ],
    }),

    strips: (chart, width) => ({
      ...base(),
      tooltip: { ...base().tooltip, formatter: (at) => `${plain(chart.categories[at.value[1]])}<br><b>${three(at.value[0])} ${chart.unit}</b>` },
      xAxis: axis({ type: "value", min: 0, axisLabel: { formatter: (value) => `${value} ${chart.unit}` }, splitNumber: width < 500 ? 3 : 5 }),
      yAxis: categories(chart.categories, width),
      series: [
        { type: "scatter", symbolSize: 9, itemStyle: { color: colour("c0"), opacity: 0.45 }, data: chart.points.flatMap((points, row) => points.map((value) => [value, row])) },
        { type: "scatter", symbol: "rect", symbolSize: [3, 26], itemStyle: { color: colour("ink") }, data: chart.medians.map((value, row) => [value, row]) },
      ],
    }),

    history: (chart, width, name) => {
      const mine = chart.cases[name];
      const values = mine.values.split(",").map((text) => (text === "" ? null : Number(text)));
      const [low, median, high] = mine.band;
      const last = values.length - 1;
      return {
        ...base(),
        grid: { ...base().grid, bottom: last > 30 ? 44 : 4 },
        tooltip: {
          ...base().tooltip, trigger: "axis", axisPointer: { lineStyle: { color: colour("soft") } },
          formatter: ([at]) => {
            const [started, commit] = chart.runs[at.dataIndex];
            return `${plain(started.slice(0, 16).replace("T", " "))}, ${plain(commit)}<br><b>${at.value === null || at.value === undefined ? "not measured" : time(at.value)}</b>`;
          },
        },
        xAxis: axis({ type: "category", boundaryGap: false, data: chart.runs.map(([started]) => started.slice(0, 10)), splitLine: { show: false } }),
        yAxis: axis({ type: "value", scale: true, min: (of) => Math.min(of.min, low) * 0.97, max: (of) => Math.max(of.max, high) * 1.03, axisLabel: { formatter: time, showMinLabel: false, showMaxLabel: false } }),
        dataZoom: last > 30 ? [{ type: "slider", height: 22, bottom: 6, showDetail: false, borderColor: colour("line"), brushSelect: false }] : [],
        series: [{
          type: "line", data: values, symbolSize: last > 120 ? 0 : 5, lineStyle: { color: colour("c0"), width: 1.5 }, itemStyle: { color: colour("c0") },
          markArea: { silent: true, itemStyle: { color: colour("c0"), opacity: 0.14 }, data: [[{ yAxis: low }, { yAxis: high }]] },
          markLine: { silent: true, symbol: "none", label: { show: false }, lineStyle: { color: colour("c0"), type: "dashed", width: 1 }, data: [{ yAxis: median }] },
          markPoint: { silent: true, symbol: "circle", symbolSize: 11, label: { show: false }, itemStyle: { color: colour("c1") }, data: [{ coord: [last, values[last]] }] },
        }],
      };
    },
  };

  const choice = document.getElementById("history-case");
  const drawn = new Map();

  const draw = (box) => {
    const chart = charts[box.dataset.chart];
    let instance = drawn.get(box);
    if (!instance) {
      box.replaceChildren();
      box.classList.add("drawn");
      instance = echarts.init(box, null, { renderer: chart.kind === "history" ? "canvas" : "svg" });
      drawn.set(box, instance);
      new ResizeObserver(() => instance.resize()).observe(box);
    }
    instance.setOption(kinds[chart.kind](chart, box.clientWidth, choice?.value), { notMerge: true });
    if (chart.kind === "history") document.getElementById("history-text").textContent = chart.cases[choice.value].text;
    box.dataset.drawn = chart.kind === "history" ? choice.value : "yes";
  };

  const boxes = [...document.querySelectorAll("[data-chart]")];
  const sight = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (!entry.isIntersecting) continue;
      sight.unobserve(entry.target);
      draw(entry.target);
    }
  }, { rootMargin: "300px" });
  boxes.forEach((box) => sight.observe(box));
  choice?.addEventListener("change", () => boxes.filter((box) => charts[box.dataset.chart].kind === "history").forEach(draw));
  dark.addEventListener("change", () => [...drawn.keys()].forEach(draw));
})();
