// Triggers the event `pause` when typing in the question box pauses, and focuses the box with the key /.
const PAUSE = 350; // milliseconds
let timer;
const isQuestion = (target) => target.matches?.('#question textarea, #question input');
document.addEventListener('input', (event) => {
  if (!isQuestion(event.target)) return;
  clearTimeout(timer);
  timer = setTimeout(() => trigger('pause'), PAUSE);
});
document.addEventListener('keydown', (event) => {
  if (event.key === 'Enter' && isQuestion(event.target)) clearTimeout(timer); // Enter searches at once
  const typing = event.target.matches?.('input, textarea, select, [contenteditable]');
  if (event.key === '/' && !typing && !event.ctrlKey && !event.metaKey) {
    const box = [...document.querySelectorAll('#question textarea, #question input')].find((candidate) => candidate.offsetParent);
    if (box) { event.preventDefault(); box.focus(); }
  }
});
