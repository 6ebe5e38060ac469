// Handles the buttons inside an HTML component: in the browser, or by an event that the server handles.
const actions = ['open', 'similar', 'back', 'turn', 'tab'];

async function copy(text) {
  if (window.isSecureContext) return navigator.clipboard.writeText(text);
  const area = document.createElement('textarea'); // the clipboard API needs HTTPS or localhost
  area.value = text;
  document.body.append(area);
  area.select();
  document.execCommand('copy');
  area.remove();
}

element.addEventListener('click', async (event) => {
  const button = event.target.closest('[data-action]');
  if (!button) return;
  const data = { ...button.dataset };
  if (data.action === 'copy' || data.action === 'link') {
    const label = button.textContent;
    await copy(data.action === 'copy' ? data.text : `${location.origin}${location.pathname}?${data.query}`);
    button.textContent = 'Copied';
    setTimeout(() => (button.textContent = label), 1500);
  } else if (data.action === 'tab') {
    const tabs = [...document.querySelectorAll('[role=tab]')];
    tabs.find((tab) => tab.textContent.trim() === data.name)?.click();
  } else if (actions.includes(data.action)) {
    trigger(data.action, data);
  }
});

// Elements that are not buttons, such as points of the map, react to the Enter key, too.
element.addEventListener('keydown', (event) => {
  if (event.key === 'Enter' && event.target.matches('[data-action]:not(button)')) event.target.dispatchEvent(
    new MouseEvent('click', { bubbles: true }));
});

// Tooltips of the map.
const showTooltip = (event) => {
  const tip = element.querySelector('.tip');
  if (!tip) return;
  const point = event.target.closest?.('[data-tooltip]');
  tip.hidden = !point;
  if (!point) return;
  tip.textContent = point.dataset.tooltip;
  const frame = tip.parentElement.getBoundingClientRect();
  const spot = point.getBoundingClientRect();
  tip.style.left = `${Math.max(0, Math.min(spot.left - frame.left + 12, frame.width - tip.offsetWidth - 8))}px`;
  tip.style.top = `${Math.max(0, Math.min(spot.top - frame.top + 12, frame.height - tip.offsetHeight - 4))}px`;
};
element.addEventListener('pointerover', showTooltip);
element.addEventListener('focusin', showTooltip);
element.addEventListener('pointerleave', () => element.querySelector('.tip')?.setAttribute('hidden', ''));

// Scrolls a document to its passage.
const scrollToPassage = () => [60, 500].forEach((wait) => setTimeout(
  () => element.querySelector('.here')?.scrollIntoView({ block: 'center' }), wait)); // again once the panel has opened
watch('value', scrollToPassage);
