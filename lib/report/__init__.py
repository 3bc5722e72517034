"""From notebooks to a report: results, pages, written documents, and the archive that is handed in."""
