from rtrecon.export.nwb_export import ExportRequest, ExportResult, export_nwb

__all__ = ["ExportRequest", "ExportResult", "export_nwb"]
