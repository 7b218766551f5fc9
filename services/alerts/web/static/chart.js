// Draws the trajectory of each instrument with uPlot from the JSON block on the page. No network, no inline code.
"use strict";

(() => {
  const panels = JSON.parse(document.getElementById("panels").textContent);
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const DAY = 86400;
  const charts = new Map();
  let scale = "own";

  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
  const format = (value) => (value === null || value === undefined ? "not yet" : value.toFixed(1).replace(/\.0$/, ""));
  const date = (seconds) =>
    new Date(seconds * 1000).toLocaleDateString("en-GB", { day: "numeric", month: "short", year: "numeric", timeZone: "UTC" });
  // The year stands where it begins to hold.
  const days = (plot, splits) => {
    const told = (seconds, how) => new Date(seconds * 1000).toLocaleDateString("en-GB", { ...how, timeZone: "UTC" });
    const years = splits.map((split) => told(split, { year: "numeric" }));
    return splits.map((split, place) => told(split, { day: "numeric", month: "short" }) + (years[place] === years[place - 1] ? "" : `\n${years[place]}`));
  };
  const narrow = () => window.innerWidth < 740;

  // The axis begins where there is something to see, and never shows less than two fifths of the scale.
  const span = (lines) => {
    const [low, high] = lines.range;
    const known = [lines.rating, lines.low, lines.high, lines.expectedLow, lines.expectedHigh].flat().filter((value) => value !== null);
    const full = high - low;
    const pad = 0.05 * full;
    let bottom = Math.max(low, Math.min(...known, high) - pad);
    let top = Math.min(high, Math.max(...known, low) + pad);
    const lacking = 0.4 * full - (top - bottom);
    if (lacking > 0) {
      bottom = Math.max(low, bottom - lacking);
      top = Math.min(high, bottom + Math.max(0.4 * full, top - bottom));
    }
    // Room for whole dots at the ends of the scale.
    return [bottom <= low ? low - 0.02 * full : bottom, top >= high ? high + 0.02 * full : top];
  };

  // What was expected of each session, as a capsule behind its dot.
  const drawExpected = (lines) => (plot) => {
    const { ctx } = plot;
    const ratio = window.devicePixelRatio;
    const width = (narrow() ? 7 : 10) * ratio;
    ctx.save();
    ctx.fillStyle = colour("expected");
    ctx.strokeStyle = colour("expected-line");
    ctx.lineWidth = ratio;
    plot.data[0].forEach((x, place) => {
      if (lines.expectedLow[place] === null) return;
      const top = plot.valToPos(lines.expectedHigh[place], "y", true);
      const bottom = plot.valToPos(lines.expectedLow[place], "y", true);
      ctx.beginPath();
      ctx.roundRect(plot.valToPos(x, "x", true) - width / 2, top, width, Math.max(bottom - top, 2 * ratio), 3 * ratio);
      ctx.fill();
      ctx.stroke();
    });
    ctx.restore();
  };

  const SHAPES = {
    risk: (ctx, r) => { for (let i = 0; i < 8; i += 1) { const a = Math.PI / 8 + (i * Math.PI) / 4; ctx.lineTo(r * Math.cos(a), r * Math.sin(a)); } },
    red: (ctx, r) => { ctx.moveTo(0, -1.15 * r); ctx.lineTo(1.15 * r, 0); ctx.lineTo(0, 1.15 * r); ctx.lineTo(-1.15 * r, 0); },
    amber: (ctx, r) => { ctx.arc(0, 0, r, 0, 2 * Math.PI); },
    info: (ctx, r) => { ctx.arc(0, 0, 0.7 * r, 0, 2 * Math.PI); },
  };

  // Alerts hang from the top on a line down to their session; history is drawn hollow.
  const drawFlags = (panel) => (plot) => {
    const { ctx, bbox } = plot;
    const ratio = window.devicePixelRatio;
    for (const flag of panel.flags) {
      const x = plot.valToPos(flag.x, "x", true);
      ctx.save();
      ctx.strokeStyle = ctx.fillStyle = colour(flag.tone);
      ctx.lineWidth = 1.2 * ratio;
      ctx.setLineDash([3 * ratio, 3 * ratio]);
      ctx.beginPath();
      ctx.moveTo(x, bbox.top);
      ctx.lineTo(x, bbox.top + bbox.height);
      ctx.stroke();
      ctx.setLineDash([]);
      ctx.translate(x, bbox.top - 9 * ratio);
      ctx.beginPath();
      SHAPES[flag.tone](ctx, 6 * ratio);
      ctx.closePath();
      ctx.lineWidth = 1.8 * ratio;
      if (!flag.standing) ctx.fillStyle = colour("surface");
      ctx.fill();
      ctx.stroke();
      ctx.restore();
    }
  };

  // A dot for each rating; one below what was expected is an open ring, so that colour is not the only sign.
  const drawRatings = (lines) => (plot) => {
    const { ctx } = plot;
    const ratio = window.devicePixelRatio;
    const r = (narrow() ? 3.6 : 4.4) * ratio;
    ctx.save();
    plot.data[0].forEach((x, place) => {
      if (lines.rating[place] === null) return;
      const outside = lines.surprising[place];
      ctx.beginPath();
      ctx.arc(plot.valToPos(x, "x", true), plot.valToPos(lines.rating[place], "y", true), r, 0, 2 * Math.PI);
      ctx.fillStyle = outside ? colour("surface") : colour("rating");
      ctx.strokeStyle = outside ? colour("rating") : colour("surface");
      ctx.lineWidth = (outside ? 2.4 : 1.5) * ratio;
      ctx.fill();
      ctx.stroke();
    });
    ctx.restore();
  };

  const drawCrosses = (plot, times, ink) => {
    const { ctx, bbox } = plot;
    const ratio = window.devicePixelRatio;
    const r = 3.5 * ratio;
    ctx.save();
    ctx.strokeStyle = ink;
    ctx.lineWidth = 1.8 * ratio;
    for (const time of times) {
      const x = plot.valToPos(time, "x", true);
      const y = bbox.top + bbox.height - 9 * ratio;
      ctx.beginPath();
      ctx.moveTo(x - r, y - r); ctx.lineTo(x + r, y + r);
      ctx.moveTo(x - r, y + r); ctx.lineTo(x + r, y - r);
      ctx.stroke();
    }
    ctx.restore();
  };

  const tip = (panel, lines) => {
    const box = document.createElement("div");
    box.className = "tip";
    box.hidden = true;
    const line = (text, tag = "div") => { const part = document.createElement(tag); part.textContent = text; box.append(part); };
    return {
      hooks: {
        init: (plot) => plot.over.append(box),
        setCursor: (plot) => {
          const place = plot.cursor.idx;
          box.hidden = place === null || place === undefined || plot.cursor.left < 0;
          if (box.hidden) return;
          box.replaceChildren();
          line(date(plot.data[0][place]), "strong");
          line(`Rating ${format(lines.rating[place])}`);
          if (lines.expectedLow[place] !== null) line(`Expected ${format(lines.expectedLow[place])} to ${format(lines.expectedHigh[place])}`);
          if (lines.level[place] !== null) line(`Level ${format(lines.level[place])} (${format(lines.low[place])} to ${format(lines.high[place])})`);
          for (const flag of panel.flags.filter((each) => each.x === plot.data[0][place])) line(`${flag.word}: ${flag.title}`);
          const x = plot.valToPos(plot.data[0][place], "x");
          box.style.top = "8px";
          box.style.left = x > plot.over.clientWidth / 2 ? `${x - box.offsetWidth - 14}px` : `${x + 14}px`;
        },
      },
    };
  };

  const options = (panel, lines, width) => {
    const axis = { stroke: colour("ink-soft"), font: "12px system-ui, sans-serif", grid: { stroke: colour("grid"), width: 1 }, ticks: { show: false } };
    const first = Math.min(...panel.x, ...panel.missed);
    const last = Math.max(...panel.x, ...panel.missed);
    const margin = Math.max(3 * DAY, 0.03 * (last - first));
    const hidden = { points: { show: false }, stroke: "transparent" };
    return {
      width,
      height: narrow() ? 224 : 290,
      padding: [20, 14, 0, 0],
      tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), "UTC"),
      legend: { show: false },
      cursor: { y: false, drag: { x: false, y: false }, points: { show: false } },
      scales: { x: { range: [first - margin, last + margin] }, y: { range: span(lines) } },
      axes: [
        { ...axis, grid: { show: false }, space: 70, values: days, size: 46, incrs: [7 * DAY, 14 * DAY, 28 * DAY, 56 * DAY, 91 * DAY, 182 * DAY, 364 * DAY] },
        { ...axis, size: 42, space: 36, filter: (plot, splits) => splits.map((value) => (value < lines.range[0] || value > lines.range[1] ? null : value)) },
      ],
      bands: [{ series: [2, 3], fill: colour("level-wash") }],
      series: [
        {},
        { ...hidden, label: "Level", stroke: colour("level"), width: 2, spanGaps: true },
        { ...hidden, label: "Level, upper", spanGaps: true },
        { ...hidden, label: "Level, lower", spanGaps: true },
        { label: "Rating", stroke: colour("rating-line"), width: 1, spanGaps: true, points: { show: false } },
      ],
      hooks: {
        drawAxes: [drawExpected(lines)],
        draw: [
          drawFlags(panel),
          drawRatings(lines),
          (plot) => drawCrosses(plot, panel.missed, colour("ink-soft")),
        ],
      },
      plugins: [tip(panel, lines)],
    };
  };

  const draw = (panel) => {
    const place = document.querySelector(`[data-panel="${panel.id}"]`);
    const lines = panel[scale];
    charts.get(panel.id)?.destroy();
    charts.delete(panel.id);
    const data = [panel.x, lines.level, lines.high, lines.low, lines.rating];
    charts.set(panel.id, new uPlot(options(panel, lines, place.clientWidth), data, place));
    const said = document.querySelector(`#panel-${panel.id} [data-own]`);
    said.textContent = said.dataset[scale];
    place.dataset.drawn = String(lines.rating.filter((value) => value !== null).length);
  };
  const drawAll = () => panels.forEach(draw);

  const toggle = document.querySelector(".scale");
  if (toggle) {
    toggle.hidden = false;
    toggle.addEventListener("change", (event) => { scale = event.target.value; drawAll(); });
  }
  let width = window.innerWidth;
  window.addEventListener("resize", () => { if (window.innerWidth !== width) { width = window.innerWidth; drawAll(); } });
  dark.addEventListener("change", drawAll);
  drawAll();
})();
