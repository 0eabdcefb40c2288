// Runs before the first paint (a plain script in <head>), so that a chosen theme never flashes the other one.
try {
  const choice = JSON.parse(localStorage.getItem('tracker.theme') || '"system"');
  if (choice === 'light' || choice === 'dark') document.documentElement.dataset.theme = choice;
} catch {
  // Without storage the system's theme is right.
}
