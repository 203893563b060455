// What is wrong with how the page is laid out, as a list of sentences; none when it reads well.
(() => {
  const faults = [];
  const root = document.documentElement;
  if (root.scrollWidth > root.clientWidth) faults.push(`the page is ${root.scrollWidth} wide in a window of ${root.clientWidth}`);

  for (const image of document.images) {
    if (!image.complete || image.naturalWidth === 0) faults.push(`${image.getAttribute("src")} is not shown`);
  }

  // Relative luminance and contrast after WCAG 2.2.
  const channels = colour => colour.match(/[\d.]+/g).map(Number);
  const luminance = ([r, g, b]) => [r, g, b].map(c => c / 255)
    .map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const background = element => {
    for (let e = element; e; e = e.parentElement) {
      const colour = channels(getComputedStyle(e).backgroundColor);
      if (colour.length < 4 || colour[3] > 0) return colour;
    }
    return [255, 255, 255];
  };

  const lines = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode;
    const words = node.textContent.trim();
    if (!words || node.parentElement.closest(".unseen")) continue;
    const style = getComputedStyle(node.parentElement);
    if (parseFloat(style.fontSize) < 15) faults.push(`"${words}" is only ${style.fontSize} high`);
    const [light, dark] = [luminance(channels(style.color)), luminance(background(node.parentElement))].sort((a, b) => b - a);
    const contrast = (light + 0.05) / (dark + 0.05);
    if (contrast < 4.5) faults.push(`"${words}" has a contrast of only ${contrast.toFixed(2)}`);
    const range = document.createRange();
    range.selectNodeContents(node);
    const card = node.parentElement.closest(".card, .alarm, .empty, header, button, .button, main").getBoundingClientRect();
    const shown = [...range.getClientRects()].filter(line => line.width > 0);
    if (shown.length === 0) faults.push(`"${words}" is not shown`);
    if (shown.length > 1 && /^[\d.,%\s]+$/.test(words)) faults.push(`"${words}" is broken`);
    for (const line of shown) {
      if (line.left < card.left - 0.5 || line.right > card.right + 0.5 || line.top < card.top - 0.5 || line.bottom > card.bottom + 0.5) {
        faults.push(`"${words}" sticks out`);
      }
      lines.push({ words, node, left: line.left, right: line.right, top: line.top, bottom: line.bottom, height: line.height });
    }
  }

  // The boxes of lines may touch; letters are smaller than their boxes by more than a fifth.
  for (const [i, a] of lines.entries()) {
    for (const b of lines.slice(i + 1)) {
      if (a.node === b.node) continue;
      const across = Math.min(a.right, b.right) - Math.max(a.left, b.left);
      const down = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
      if (across > 1 && down > 0.2 * Math.min(a.height, b.height)) faults.push(`"${a.words}" and "${b.words}" overlap`);
    }
  }
  return faults;
})()
