"""From folders to arrays: data-set layouts, label encodings, prediction folders, caching and prefetching."""
