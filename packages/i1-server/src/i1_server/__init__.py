"""Pictures from i1 models over HTTP: OpenAI's images API, jobs, and a page."""
