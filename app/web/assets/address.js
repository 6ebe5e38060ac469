// Keeps the address of the page that of the search whose results are shown, and searches again for an earlier one.
const names = ['q', 'task', 'mode', 'k', 'collection', 'folder', 'format', 'since', 'before', 'where', 'min_score', 'rerank',
  'tab', 'document', 'start'];

watch('value', () => {
  const place = element.querySelector('[data-address]');
  if (!place) return;
  const url = new URL(location.href);
  const before = url.searchParams.get('q') ?? '';
  names.forEach((name) => url.searchParams.delete(name));
  const wanted = new URLSearchParams(place.dataset.address);
  wanted.forEach((value, name) => url.searchParams.append(name, value));
  if (url.href === location.href) return;
  const now = wanted.get('q') ?? '';
  const goesOn = now.startsWith(before) || before.startsWith(now); // the same question, or more of it was typed
  history[goesOn ? 'replaceState' : 'pushState'](history.state, '', url);
});

window.addEventListener('popstate', () => trigger('visit', { query: location.search }));
