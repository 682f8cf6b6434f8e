"""What people look at: contact sheets, Markdown, JSON, plots and a page."""
