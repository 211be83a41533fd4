"use strict";
const $ = (id) => document.getElementById(id);
const setState = (id, on) => {
  $(id).textContent = on ? "live" : "reconnecting";
  $(id).classList.toggle("on", on);
};

// Chat: one WebSocket, opened again when it breaks.
let socket;
function openChat() {
  const query = location.search; // ?name=… chooses a name
  socket = new WebSocket(`${location.origin.replace(/^http/, "ws")}/chat${query}`);
  socket.onopen = () => { $("lines").replaceChildren(); setState("chat-state", true); };
  socket.onclose = () => { setState("chat-state", false); setTimeout(openChat, 1000); };
  socket.onmessage = ({ data }) => showLine(JSON.parse(data));
}
function showLine({ name, text, members }) {
  const line = document.createElement("li");
  if (name) {
    const who = document.createElement("b");
    who.textContent = name;
    line.append(who, text);
  } else {
    line.className = "event";
    line.textContent = text;
  }
  $("lines").append(line);
  $("lines").scrollTop = $("lines").scrollHeight;
  $("members").textContent = members.join(", ");
}
$("say").onsubmit = (event) => {
  event.preventDefault();
  if ($("text").value.trim() && socket.readyState === WebSocket.OPEN) socket.send($("text").value);
  $("text").value = "";
};

// Counters: totals arrive once a second; the chart shows what each second added.
const SECONDS = 60;
const COLORS = ["#0b7a75", "#d1495b", "#edae49", "#3d6cb9", "#8a5fbf", "#66a182"];
const rates = new Map(); // name -> the last minute
let totals = null;
function receiveCounters(counts) {
  for (const name of Object.keys(counts)) {
    if (!rates.has(name)) rates.set(name, new Array(SECONDS).fill(0));
  }
  for (const [name, series] of rates) {
    const added = totals === null ? 0 : (counts[name] ?? 0) - (totals[name] ?? 0);
    series.push(added);
    series.shift();
  }
  totals = counts;
  drawChart();
}
function drawChart() {
  const top = Math.max(4, ...[...rates.values()].flat());
  const y = (value) => 195 - (value / top) * 180;
  const x = (index) => 34 + (index / (SECONDS - 1)) * 560;
  let marks = "";
  for (const share of [0, 0.5, 1]) {
    const at = y(top * share);
    marks += `<line class="grid" x1="34" x2="594" y1="${at}" y2="${at}"/>`
      + `<text x="28" y="${at + 4}" text-anchor="end">${Math.round(top * share)}</text>`;
  }
  marks += `<text x="34" y="214">1 min ago</text><text x="594" y="214" text-anchor="end">now</text>`;
  let color = 0;
  const legend = [];
  for (const [name, series] of rates) {
    const stroke = COLORS[color++ % COLORS.length];
    const points = series.map((value, index) => `${x(index).toFixed(1)},${y(value).toFixed(1)}`).join(" ");
    marks += `<polyline stroke="${stroke}" points="${points}"/>`;
    const item = document.createElement("li");
    const box = document.createElement("i");
    box.style.background = stroke;
    item.append(box, `${name}: ${totals[name]}`);
    legend.push(item);
  }
  $("chart").innerHTML = marks;
  if (legend.length) $("legend").replaceChildren(...legend);
}
const counters = new EventSource("/counters");
counters.onopen = () => setState("sse-state", true);
counters.onerror = () => setState("sse-state", false);
counters.onmessage = ({ data }) => receiveCounters(JSON.parse(data));

fetch("/ports").then((answer) => answer.json()).then(({ tcp, udp }) => {
  $("tcp-command").textContent = `nc ${location.hostname} ${tcp}`;
  $("udp-command").textContent = `echo 'hits:1|c' | nc -u -w0 ${location.hostname} ${udp}`;
});
drawChart();
openChat();
